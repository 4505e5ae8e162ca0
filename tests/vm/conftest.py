"""A guest with cgroup v2, and on the same switch the control plane that the tests on machines make, in a machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import oci
from devcluster.progress import Reporter
from tests.machines import ground, pages
from tests.machines.cluster import Cluster
from tests.machines.conftest import cluster as cluster
from tests.machines.conftest import lab as lab
from tests.machines.conftest import package as package
from tests.machines.lab import Lab
from tests.vm import disk
from tests.vm.guest import Guest


@pytest.fixture(scope="session")
def guest(lab: Lab, package: Path) -> Iterator[Guest]:
    """Booted, with nothing of a node but containerd and kubeadm; the package is in its /srv."""
    report = Reporter()
    made = disk.obtain(report)
    folder = lab.folder / disk.NAME
    (folder / "srv").mkdir(parents=True)
    store = disk.image(folder / "store")
    for source in (package, ground.image_archives(report) / "pause.tar", oci.archive(store, disk.IMAGE)):
        shutil.copy(source, folder / "srv")
    disk.file_system(folder / "srv", folder / "srv.ext4", size="256M")
    one = Guest(made, folder / "srv.ext4", folder, lab.folder.name)
    try:
        with report.step("boot a guest", about=25):
            one.up()
            one.wait_booted()
        with report.step("import the images of its Pods", about=5):
            one.run("ls /srv/*.tar | xargs -n 1 ctr -n k8s.io images import")
        yield one
    finally:
        one.down()


@pytest.fixture(scope="session")
def joined(guest: Guest, cluster: Cluster) -> Guest:
    """A node of the cluster, made one as docs/kubeadm.md says if it is none yet."""
    if guest not in cluster.nodes:
        for block in pages.section("install.md", "Install"):
            guest.run(block.commands)
        cluster.join(guest, cgroup_v1=False)
    return guest
