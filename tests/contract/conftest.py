"""What contract cases are given: container runtimes and API servers, in namespaces of their own, and a proxy's node.

Binaries come from $DEVCLUSTER_BIN, PATH or the dev cluster's cache; without them, or without root, the cases against
containerd are skipped.
"""

import contextlib
import gc
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from nodekit.kube.client import Client
from nodekit.kube.fake import FakeApi
from pyproxy.act.iptables.programs import BackEnd, Programs
from pyproxy.act.nftables.kernel import Kernel
from pyproxy.model.address import Family
from tests.contract import apiserver, cri_kit, kube_kit, proxy_lab
from tests.contract.real_containerd import (
    API_SERVER,
    BUSYBOX,
    NEEDED,
    Containerd,
    clean,
    link_binaries,
    run,
    write_config,
    write_image,
)
from tests.contract.real_crio import Crio


@pytest.fixture(scope="session")
def api_server_binaries(containerd: Containerd) -> Path:
    """A folder that has etcd, kube-apiserver and kubectl too."""
    if missing := link_binaries(containerd.binaries, API_SERVER):
        pytest.skip(f"no {', '.join(missing)}: `make build` gets them, or set DEVCLUSTER_BIN to a folder of them")
    return containerd.binaries


@pytest.fixture(scope="session")
def containerd() -> Iterator[Containerd]:
    if os.geteuid():
        pytest.skip("a containerd needs root")
    if not BUSYBOX.exists():
        pytest.skip(f"no {BUSYBOX} to make an image from: apt-get install busybox-static")
    folder = Path(f"/run/cri-{os.getpid()}")  # short: it holds sockets
    folder.mkdir()
    binaries = folder / "bin"
    daemon = Containerd(folder, binaries)
    try:
        if missing := link_binaries(binaries, NEEDED):
            pytest.skip(f"no {', '.join(missing)}: `make build` gets them, or set DEVCLUSTER_BIN to a folder of them")
        run("ip", "netns", "add", daemon.name)
        run("ip", "-n", daemon.name, "link", "set", "lo", "up")
        (folder / "mnt").touch()
        run("unshare", f"--mount={folder}/mnt", "--propagation", "shared", "true")
        write_config(folder, binaries)
        write_image(folder / "tiny.tar")
        daemon.start()
        daemon.ctr("images", "import", "--digests", str(folder / "tiny.tar"))
        yield daemon
    finally:
        clean(daemon)


@pytest.fixture(scope="session")
def crio() -> Iterator[Crio]:
    """Only where it is asked for, as it is built for minutes: `make crio`."""
    if os.geteuid() or "CRIO" not in os.environ:
        pytest.skip("`make crio`, as root, tries CRI-O")
    folder = Path(f"/run/crio-{os.getpid()}")
    folder.mkdir()
    daemon = Crio(folder)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.clean()


@pytest.fixture(params=["fake", "containerd", "crio"])
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[cri_kit.Kit]:
    """The container runtimes of which the CRI's contract is asked."""
    if request.param == "fake":
        yield cri_kit.on_fake(tmp_path)
        return
    async with cri_kit.on_daemon(request.getfixturevalue(request.param), tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[], apiserver.Server]]:
    """Starts the genuine one when a case first asks for it."""
    with contextlib.ExitStack() as stack:
        made: list[apiserver.Server] = []

        def server() -> apiserver.Server:
            if not made:
                made.append(stack.enter_context(apiserver.running()))
            return made[0]

        yield server


@pytest.fixture(params=["fake", pytest.param("genuine", marks=kube_kit.needs_genuine)])
async def api(request: pytest.FixtureRequest, servers: Callable[[], apiserver.Server]) -> AsyncIterator[kube_kit.Api]:
    """The API servers of which the client's cases are asked."""
    if request.param == "fake":
        made = FakeApi()
        yield kube_kit.InMemory(Client(made), made)
        return
    server = servers()
    async with kube_kit.client_of(server.kubeconfig("token", user={"token": apiserver.TOKEN})) as client:
        yield kube_kit.Genuine(client, server)


@pytest.fixture
def client(api: kube_kit.Api) -> Client:
    return api.client


@pytest.fixture
def server(servers: Callable[[], apiserver.Server]) -> apiserver.Server:
    return servers()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder for sockets, whose paths may have 107 characters at most: pytest's own are nearly as long."""
    with tempfile.TemporaryDirectory(prefix="ct-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def lab() -> Iterator[proxy_lab.Lab]:
    with contextlib.ExitStack() as stack:
        yield proxy_lab.Lab(stack)


@pytest.fixture(params=[pytest.param(f, id=f.api_name) for f in Family])
def node(request: pytest.FixtureRequest, lab: proxy_lab.Lab) -> Iterator[proxy_lab.Node]:
    kernel = Kernel(lab.name(proxy_lab.NODE))
    try:
        node = proxy_lab.Node(lab, proxy_lab.PLANS[request.param], kernel)
        yield node
        node.remove()
    finally:
        kernel.close()


def _iptables(back_end: BackEnd, family: Family) -> object:
    """Without the programs a case says so: `apt-get install iptables`."""
    lacking = not Programs(back_end).found(family)
    reason = f"no iptables-{back_end.value}-restore: `make build` installs the package iptables"
    return pytest.param(
        (back_end, family),
        id=f"{family.api_name}-iptables-{back_end.value}",
        marks=pytest.mark.skipif(lacking, reason=reason),
    )


_BACK_ENDS = [_iptables(back_end, family) for back_end in (BackEnd.NFT, BackEnd.LEGACY) for family in Family]


@pytest.fixture(params=_BACK_ENDS)
def iptables_node(request: pytest.FixtureRequest, lab: proxy_lab.Lab) -> Iterator[proxy_lab.IptablesNode]:
    back_end, family = request.param
    node = proxy_lab.IptablesNode(lab, proxy_lab.PLANS[family], proxy_lab.iptables_writer(lab, back_end))
    yield node
    node.remove()


@pytest.fixture(params=[*(pytest.param((None, f), id=f"{f.api_name}-nftables") for f in Family), *_BACK_ENDS])
def any_node(request: pytest.FixtureRequest, lab: proxy_lab.Lab) -> Iterator[proxy_lab.AnyNode]:
    """A node whose rules are in nf_tables, or in iptables of either back end."""
    back_end, family = request.param
    plan = proxy_lab.PLANS[family]
    if back_end is not None:
        node: proxy_lab.AnyNode = proxy_lab.IptablesNode(lab, plan, proxy_lab.iptables_writer(lab, back_end))
        yield node
        node.remove()
        return
    kernel = Kernel(lab.name(proxy_lab.NODE))
    try:
        node = proxy_lab.Node(lab, plan, kernel)
        yield node
        node.remove()
    finally:
        kernel.close()


@pytest.fixture(autouse=True)
def leaks_are_told_by_who_made_them() -> Iterator[None]:
    """A connection left open is noticed when it is collected, which would be in some later case."""
    yield
    gc.collect()
