"""The node's certificates against a genuine API server, and a genuine controller manager that approves and signs."""

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from nodekit.aio.clock import SystemClock
from nodekit.kube import auth
from nodekit.kube.client import Client, Patch, PatchKind, Selection
from nodekit.kube.transport import Transport
from nodekit.objects import meta
from nodekit.objects.resource import Resource
from pykubelet import errors
from pykubelet.act.identity import rotation, store, x509
from pykubelet.act.identity.bootstrap import Places
from pykubelet.act.identity.client import ClientIdentity
from pykubelet.act.identity.rotation import Rotation
from pykubelet.act.identity.store import Store
from pykubelet.decide import identity
from pykubelet.model.signing import SIGNING_REQUESTS
from tests.contract import apiserver

pytestmark = [
    pytest.mark.skipif(
        not (Path(os.environ.get("KUBEBUILDER_ASSETS", "/nowhere")) / "kube-controller-manager").exists(),
        reason="KUBEBUILDER_ASSETS names no folder with kube-apiserver, kube-controller-manager and etcd",
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

LIFE = 8
"""Seconds that a signed certificate lives; it is dated back by five minutes, so another is due at once."""
NODE = "n1"


class ConfigMap(meta.ApiObject):
    data: dict[str, str] = {}


CONFIG_MAPS = Resource(ConfigMap, "v1", "ConfigMap", "configmaps")
RIGHTS = {
    "boot": ("User", "weak", "system:node-bootstrapper"),
    "approve": ("User", "weak", "system:certificates.k8s.io:certificatesigningrequests:nodeclient"),
    "renew": ("Group", "system:nodes", "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"),
    "ask": ("Group", "system:nodes", "system:node-bootstrapper"),
    "see": ("Group", "system:nodes", "system:aggregate-to-view"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[apiserver.Server]:
    with apiserver.running() as found:
        yield found


@contextlib.contextmanager
def signing(server: apiserver.Server, *, seconds: int) -> Iterator[None]:
    """A controller manager that approves what nodes may ask for, and signs what is approved."""
    config = server.kubeconfig("kcm", user={"token": apiserver.TOKEN})
    server.start(
        "kube-controller-manager",
        f"--kubeconfig={config}",
        "--controllers=certificatesigningrequest-approving-controller,certificatesigningrequest-signing-controller",
        f"--cluster-signing-cert-file={server.folder}/ca.crt",
        f"--cluster-signing-key-file={server.folder}/ca.key",
        f"--cluster-signing-duration={seconds}s",
        "--leader-elect=false",
        "--secure-port=0",
    )
    try:
        yield
    finally:
        server.stop("kube-controller-manager")


@pytest.fixture
async def admin(server: apiserver.Server) -> AsyncIterator[Client]:
    async with Transport(auth.load(server.kubeconfig("admin", user={"token": apiserver.TOKEN}))) as transport:
        client = Client(transport)
        for name, (kind, subject, role) in RIGHTS.items():
            body = {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": f"test-{name}"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": subject}],
            }
            path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
            with contextlib.suppress(Exception):
                await client.raw("POST", path, body=msgspec.json.encode(body))
        for found in (await client.list(SIGNING_REQUESTS)).items:
            await client.delete(SIGNING_REQUESTS, found.key)
        yield client


@pytest.fixture
def places(server: apiserver.Server, tmp_path: Path) -> Places:
    bootstrap = server.kubeconfig("bootstrap", user={"token": "weak-token"})
    return Places(tmp_path / "kubelet.conf", bootstrap, tmp_path / "pki")


class Agent:
    """What app.py does with an identity."""

    def __init__(self, places: Places, *, rotate: bool = True) -> None:
        self.who = ClientIdentity(places, node=NODE, rotate=rotate, clock=SystemClock())
        self.client: Client

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Client]:
        credentials = await self.who.open()
        async with Transport(credentials) as transport:
            client = Client(transport)
            task = asyncio.create_task(self.who.run(credentials, client))
            try:
                yield client
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def user_of(client: Client) -> str:
    body = msgspec.json.encode({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    answer = msgspec.json.decode(
        await client.raw("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
    )
    info = answer["status"]["userInfo"]
    return f"{info['username']} of {info['groups'][0]}"


async def eventually(check: Callable[[], bool], *, within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not check():  # noqa: ASYNC110 - the check may be about anything
            await asyncio.sleep(0.05)


async def requests_of(admin: Client, signer: str) -> list[str]:
    found = (await admin.list(SIGNING_REQUESTS)).items
    return [one.metadata.name for one in found if one.spec.signer_name == signer]


async def decide(admin: Client, name: str, how: str) -> None:
    condition = {"type": how, "status": "True", "reason": "Test", "message": "by hand"}
    change = Patch(PatchKind.MERGE, msgspec.json.encode({"status": {"conditions": [condition]}}))
    await admin.patch(SIGNING_REQUESTS, meta.Key("", name), change, subresource="approval")


async def test_a_node_gets_its_first_certificate(server: apiserver.Server, admin: Client, places: Places) -> None:
    agent = Agent(places)
    with signing(server, seconds=3600):
        async with agent.running() as client:
            await agent.who.begun(at_most=20)
            assert await user_of(client) == f"system:node:{NODE} of system:nodes"
    current = places.folder / "kubelet-client-current.pem"
    assert current.is_symlink()
    assert stat.S_IMODE(current.stat().st_mode) == 0o600
    assert current.resolve().name.startswith("kubelet-client-20")
    assert not (places.folder / "kubelet-client.key.tmp").exists()
    assert stat.S_IMODE(places.kubeconfig.stat().st_mode) == 0o600
    # What was written is enough: the bootstrap kubeconfig goes away, as kubeadm has it, and the node starts again.
    later = Agent(Places(places.kubeconfig, places.folder / "gone", places.folder))
    async with later.running() as client:
        assert await user_of(client) == f"system:node:{NODE} of system:nodes"


async def test_a_watch_outlives_the_certificate_it_began_with(
    server: apiserver.Server, admin: Client, places: Places
) -> None:
    agent = Agent(places)
    current = places.folder / "kubelet-client-current.pem"
    with signing(server, seconds=LIFE):
        async with agent.running() as client:
            await agent.who.begun(at_most=20)
            first = current.resolve()
            query = {"resourceVersion": (await client.list(CONFIG_MAPS)).metadata.resource_version}
            async with client.watch(CONFIG_MAPS, Selection("default"), query=query) as lines:
                await asyncio.sleep(LIFE + 1)
                held = await x509.inspect(first.read_bytes(), name="the first")
                assert identity.trouble(held, now=SystemClock().now().timestamp())
                await admin.create(CONFIG_MAPS, ConfigMap(metadata=meta.ObjectMeta(name="late", namespace="default")))
                async with asyncio.timeout(5):
                    assert b'"late"' in await anext(lines)
            assert current.resolve() != first
            assert await user_of(client) == f"system:node:{NODE} of system:nodes"


async def test_a_node_whose_certificate_expired_comes_back(
    server: apiserver.Server, admin: Client, places: Places, caplog: pytest.LogCaptureFixture
) -> None:
    with signing(server, seconds=2):
        async with Agent(places, rotate=False).running():
            await eventually(places.kubeconfig.exists)
    await asyncio.sleep(3)
    lost = Agent(Places(places.kubeconfig, places.folder / "missing", places.folder))
    async with lost.running() as client:
        await eventually(lambda: "a bootstrap kubeconfig or a valid certificate mends it" in caplog.text)
        assert "expired at" in caplog.text
        # Somebody puts another one there by hand: it is taken without a restart.
        server.write_client("byhand", user=f"system:node:{NODE}", group="system:nodes")
        pair = [(server.folder / f"byhand.{end}").read_bytes() for end in ("crt", "key")]
        Store(places.folder, "kubelet-client").save(pair[0], pair[1], now=SystemClock().now())

        async def back() -> bool:
            with contextlib.suppress(Exception):
                return (await user_of(client)).startswith(f"system:node:{NODE} ")
            return False

        async with asyncio.timeout(20):
            while not await back():  # noqa: ASYNC110 - a server is asked
                await asyncio.sleep(0.2)


async def test_an_expired_node_starts_anew_with_a_bootstrap_kubeconfig(
    server: apiserver.Server, admin: Client, places: Places
) -> None:
    with signing(server, seconds=2):
        async with Agent(places, rotate=False).running():
            await eventually(places.kubeconfig.exists)
    await asyncio.sleep(3)
    with signing(server, seconds=3600):
        agent = Agent(places)
        async with agent.running() as client:
            await agent.who.begun(at_most=20)
            assert await user_of(client) == f"system:node:{NODE} of system:nodes"


async def test_a_restarted_agent_waits_for_the_request_it_had_made(
    server: apiserver.Server, admin: Client, places: Places
) -> None:
    for _ in range(2):
        async with Agent(places).running():
            await asyncio.sleep(2)
    assert len(await requests_of(admin, identity.CLIENT_SIGNER)) == 1


async def test_a_denied_request_is_told_of_and_followed_by_another(
    server: apiserver.Server, admin: Client, places: Places, caplog: pytest.LogCaptureFixture
) -> None:
    agent = Agent(places)
    async with agent.running() as client:
        async with asyncio.timeout(20):
            while not (names := await requests_of(admin, identity.CLIENT_SIGNER)):  # noqa: ASYNC110 - a server is asked
                await asyncio.sleep(0.1)
        await decide(admin, names[0], "Denied")
        await eventually(lambda: "was denied: Test: by hand" in caplog.text)
        with signing(server, seconds=3600):
            await agent.who.begun(at_most=30)
            assert await user_of(client) == f"system:node:{NODE} of system:nodes"


async def test_nothing_to_begin_with_is_said(tmp_path: Path) -> None:
    places = Places(tmp_path / "kubelet.conf", tmp_path / "bootstrap-kubelet.conf", tmp_path)
    with pytest.raises(errors.StartupError, match=r"kubelet\.conf: No such file.*bootstrap-kubelet\.conf"):
        await Agent(places).who.open()


async def test_a_serving_certificate_waits_for_approval(
    server: apiserver.Server, admin: Client, places: Places
) -> None:
    server.write_client("node", user=f"system:node:{NODE}", group="system:nodes")
    user = {"client-certificate": "node.crt", "client-key": "node.key"}
    kept = Store(places.folder, "kubelet-server")
    wanted = identity.serving(NODE, ["198.18.0.11", "fd00::11"])
    async with Transport(auth.load(server.kubeconfig("node", user=user))) as transport:
        client, clock = Client(transport), SystemClock()
        keeping = Rotation(kept, wanted, lambda: rotation.ask(client, kept, wanted, clock=clock), clock=clock)
        task = asyncio.create_task(keeping.run())
        try:
            with signing(server, seconds=3600):
                async with asyncio.timeout(20):
                    while not (names := await requests_of(admin, identity.SERVING_SIGNER)):  # noqa: ASYNC110 - a server is asked
                        await asyncio.sleep(0.1)
                assert not kept.current.exists()
                await decide(admin, names[0], "Approved")
                await eventually(kept.current.exists)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    held = await kept.held()
    assert held is not None
    assert identity.fits(held, wanted)
    assert set(held.addresses) == {"198.18.0.11", "fd00::11"}


def test_a_file_where_the_link_belongs_is_left_alone(tmp_path: Path) -> None:
    kept = store.Store(tmp_path, "kubelet-client")
    kept.current.write_text("somebody's")
    with pytest.raises(OSError, match="move it away"):
        kept.save(b"cert", b"key", now=SystemClock().now())
    assert kept.current.read_text() == "somebody's"
