"""What the tests on machines share: one lab, whose machines become nodes of one cluster as the pages in docs/ say.

The modules go on from each other in the order that the Makefile gives; each can be run alone too.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.progress import Reporter
from tests.machines import genuine, ground, pages
from tests.machines.cluster import Cluster
from tests.machines.lab import Lab
from tests.machines.machine import Machine

BUILD = Path(__file__).parents[2] / "build"
# The machines' disks are this host's, however full others have made it.
SHARED_DISK = 'evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%"}'
OF_A_CONTROL_PLANE = "etcd|kube-"


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with Lab(ground.root(Reporter())) as made:
        (made.folder / "srv").mkdir()
        yield made


@pytest.fixture(scope="session")
def package(lab: Lab) -> Path:
    """Our package, where the machines see it as /srv/pykubelet_*.deb."""
    found = sorted(BUILD.glob("pykubelet_*.deb"))
    assert found, "no build/pykubelet_*.deb: `make deb` makes it"
    return Path(shutil.copy(found[-1], lab.folder / "srv"))


def _machine(lab: Lab, name: str) -> Machine:
    """All images that it will run are there, as there is no registry."""
    made = lab.machine(name, {ground.image_archives(Reporter()): "/images", lab.folder / "srv": "/srv"})
    lacking = OF_A_CONTROL_PLANE if name != "m1" else "nothing"
    made.run(f"ls /images/*.tar | grep -vE '{lacking}' | xargs -n 1 ctr -n k8s.io images import")
    return made


@pytest.fixture(scope="session")
def cluster(lab: Lab, package: Path) -> Cluster:
    """A control plane on a machine of its own, whose kubelet is ours."""
    machine = _machine(lab, "m1")
    for page, section in (("install.md", "Install"), ("kubeadm.md", "A control plane")):
        for block in pages.section(page, section):
            machine.run(block.commands.replace("failCgroupV1: false", f"{SHARED_DISK}\nfailCgroupV1: false"))
    made = Cluster(machine)
    made.connect(machine)
    return made


@pytest.fixture(scope="session")
def worker(lab: Lab, package: Path) -> Machine:
    """A machine with nothing of a node but containerd and kubeadm."""
    return _machine(lab, "m2")


@pytest.fixture(scope="session")
def genuine_worker(lab: Lab) -> Machine:
    """A machine with the genuine kubelet's package."""
    with tempfile.TemporaryDirectory() as scratch:
        genuine.package(Path(scratch), lab.folder / "srv", Reporter())
    made = _machine(lab, "m3")
    made.run("dpkg --install /srv/kubelet_*.deb; echo 1 > /proc/sys/net/ipv4/ip_forward")
    return made
