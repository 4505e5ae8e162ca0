"""Vagrant reads vagrant/Vagrantfile, and makes nodes of machines by the commands of docs/vagrant.md. Needs root.

Vagrant runs in a machine of its own. What it would have a hypervisor make are machines with systemd that run already:
boxes come from the internet. All else is as with any provider: files, scripts and commands go to them by SSH.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from devcluster.progress import Reporter
from tests.e2e import kube as k
from tests.machines import pages, roots
from tests.machines import vagrant as lab_of_vagrant
from tests.machines.lab import Lab
from tests.machines.machine import Machine

PAGE = "vagrant.md"
REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("vagrant", "vagrant-libvirt")
JOIN = {"CONTROL_PLANE": "198.51.100.10:6443", "TOKEN": "abcdef.0123456789abcdef", "CA_HASH": "sha256:00"}

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="machines need root"),
    pytest.mark.timeout(300, func_only=True),  # the machine is made and taken away outside of it
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(roots.with_packages("vagrant", PACKAGES, Reporter())) as made:
        yield made


@pytest.fixture(scope="module")
def host(lab: Lab) -> Machine:
    """A machine with Vagrant, its provider for libvirt, and a checkout of what docs/vagrant.md needs."""
    (lab.base / "srv").mkdir(exist_ok=True)
    shared = lab.folder / "srv"
    for name in ("vagrant", "systemd"):
        shutil.copytree(REPOSITORY / name, shared / name, ignore=shutil.ignore_patterns("join.env", ".vagrant"))
    (shared / "packages").mkdir()
    for package in (REPOSITORY / "build").glob("pykubelet_*.deb"):
        shutil.copy(package, shared / "packages")
    made = lab.machine("vagrant", {shared: "/srv"})
    made.run("mkdir -p /root/pykubelet/build; cp -r /srv/vagrant /srv/systemd /root/pykubelet")
    return made


@pytest.fixture(scope="module")
def boxes(lab: Lab, host: Machine) -> Mapping[str, Machine]:
    """The machines of the page, of which nothing is a node yet, and the package."""
    assert list((lab.folder / "srv/packages").iterdir()), "no build/pykubelet_*.deb: `make deb` makes it"
    host.run("cp /srv/packages/* /root/pykubelet/build")
    return lab_of_vagrant.boxes(lab, host)


def vagrant(host: Machine, words: str, **settings: str) -> str:
    """What Vagrant says, on either stream, with these settings in its environment."""
    given = " ".join(f"{name}='{value}'" for name, value in settings.items())
    script = f"cd /root/pykubelet/vagrant; {given} VAGRANT_DEFAULT_PROVIDER=libvirt vagrant {words} 2>&1"
    return host.run(script, check=False).stdout


def machines(said: str) -> list[str]:
    """The names in `vagrant status --machine-readable`."""
    return re.findall(r"^\d+,([\w-]+),state,", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, ["control-plane", "worker-1", "worker-2"], id="a cluster of three when there is none to join"),
        pytest.param(JOIN, ["worker"], id="a worker when there is a control plane"),
        pytest.param({**JOIN, "NAME": "w7"}, ["w7"], id="a worker with a name of its own"),
    ],
)
def test_the_machines(host: Machine, settings: dict[str, str], expected: list[str]) -> None:
    assert "validated successfully" in vagrant(host, "validate", **settings)
    assert machines(vagrant(host, "status --machine-readable", **settings)) == expected


def test_what_to_join_may_stand_in_a_file(host: Machine) -> None:
    lines = "\\n".join(f"{name}={value}" for name, value in JOIN.items())
    host.run(f"printf '{lines}\\nNAME=w8\\n' > /root/pykubelet/vagrant/join.env")
    try:
        assert machines(vagrant(host, "status --machine-readable")) == ["w8"]
        assert machines(vagrant(host, "status --machine-readable", NAME="w9")) == ["w9"], "the environment goes first"
    finally:
        host.run("rm /root/pykubelet/vagrant/join.env")


def test_what_is_missing_is_said(host: Machine) -> None:
    said = vagrant(host, "status", CONTROL_PLANE="198.51.100.10:6443", TOKEN="a")
    assert "CA_HASH missing; `kubeadm token create --print-join-command`" in said
    assert "no build/pykubelet_*.deb: `make deb` makes it" in vagrant(host, "up")


def follow(host: Machine, block: pages.Block, **texts: str) -> str:
    """What the page's commands say on the machine with Vagrant; `texts` are in place of its examples."""
    settings = f"VAGRANT_DEFAULT_PROVIDER=lab NETWORK={lab_of_vagrant.NETWORK}"
    return host.run(f"cd /root/pykubelet; export {settings}\n{block.with_texts(texts)}").stdout


def is_ours(host: Machine, names: list[str]) -> bool:
    """Whether the cluster has these nodes, all Ready and all with pykubelet."""
    host.run(f"kubectl wait --for=condition=Ready --timeout=90s {' '.join(f'node/{name}' for name in names)}")
    versions = host.run(
        "kubectl get nodes -o jsonpath='{range .items[*]}{.metadata.name}={.status.nodeInfo.kubeletVersion} {end}'"
    )
    shown = dict(word.split("=") for word in versions.stdout.split())
    return sorted(shown) == sorted(names) and all("+pykubelet." in version for version in shown.values())


def test_a_cluster_of_its_own_comes_up(host: Machine, boxes: Mapping[str, Machine]) -> None:
    (block,) = pages.section(PAGE, "A cluster of its own")
    said = follow(host, block)
    names = ["control-plane", "worker-1", "worker-2"]
    assert [line.split()[0] for line in said.splitlines()[-3:]] == names, said
    configuration = boxes["control-plane"].run("cat /etc/kubernetes/admin.conf").stdout
    host.run(f"mkdir -p /root/.kube; cat > /root/.kube/config <<'END'\n{configuration}END")
    assert is_ours(host, names)
    host.run("kubectl -n kube-system rollout status deployment/coredns --timeout=90s")


def test_a_worker_joins_a_cluster_that_is_there(host: Machine, boxes: Mapping[str, Machine]) -> None:
    ask, write, up, allow = pages.section(PAGE, "A worker that joins a cluster")
    words = boxes["control-plane"].run(ask.commands).stdout.split()
    given = {JOIN["CONTROL_PLANE"]: words[2], JOIN["TOKEN"]: words[4], "sha256:...": words[6]}
    follow(host, write, **given)
    follow(host, allow)
    host.run("echo OWN_NETWORK=yes >> /root/pykubelet/vagrant/join.env")
    follow(host, up)
    assert is_ours(host, ["control-plane", "worker", "worker-1", "worker-2"])
    # The first question may come before the new node's proxy knows where CoreDNS is.
    script = "until nslookup kubernetes.default.svc.cluster.local; do sleep 1; done"
    asks = k.pod("asks", k.shell("c", script), nodeName="worker", restartPolicy="Never")
    host.run(f"kubectl apply -f - <<'END'\n{json.dumps(asks)}\nEND")
    host.run("kubectl wait --for=jsonpath={.status.phase}=Succeeded pod/asks --timeout=60s")


def test_all_machines_go(host: Machine, boxes: Mapping[str, Machine]) -> None:
    (block,) = pages.section(PAGE, "Away with it")
    follow(host, block)
    host.run("rm -f /root/pykubelet/vagrant/join.env")
    follow(host, block)
    assert machines(vagrant(host, "status --machine-readable")) == ["control-plane", "worker-1", "worker-2"]
    assert "running" not in vagrant(host, "status --machine-readable")
