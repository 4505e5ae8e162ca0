"""Vagrant with libvirt makes the worker of vagrant/Vagrantfile, as docs/vagrant.md says: a real `vagrant up`.

Vagrant and libvirt run in a machine of their own, and the worker is a QEMU guest in it, emulated. The control plane is
another machine, made by genuine kubeadm.
"""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from devcluster import oci
from devcluster.progress import Reporter
from tests.e2e import kube as k
from tests.machines import cluster as clusters
from tests.machines import ground, pages, roots
from tests.machines.cluster import Cluster
from tests.machines.lab import Lab
from tests.machines.machine import Computer, Machine
from tests.vm import box, disk

PAGE: Final = "vagrant.md"
REPOSITORY: Final = Path(__file__).parents[2]
ARCHIVES: Final = ("pause.tar", "busybox.tar")
_OPTIONS: Final = "-i /root/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
SETTINGS: Final = f"VAGRANT_DEFAULT_PROVIDER=libvirt BOX={box.NAME}"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="machines need root"),
    pytest.mark.timeout(900, func_only=True),
]


class Worker(Computer):
    """The machine that Vagrant made; commands go by ssh from the one that Vagrant runs on."""

    name = "worker"

    def __init__(self, host: Machine, address: str) -> None:
        self._host = host
        self._address = address

    @property
    def address(self) -> str:
        return self._address

    @property
    def console(self) -> Path:
        return self._host.console

    def attempt(self, script: str, *, timeout: float) -> subprocess.CompletedProcess[str]:
        command = shlex.quote(f"sudo bash -euo pipefail -c {shlex.quote(script)}")
        return self._host.attempt(f"ssh {_OPTIONS} vagrant@{self._address} {command}", timeout=timeout)

    def import_image(self, archive: str) -> None:
        """Have an image of whose archive the host knows the path."""
        self._host.run(f"scp -q {_OPTIONS} {archive} vagrant@{self._address}:/tmp/image.tar")
        self.run("ctr -n k8s.io images import /tmp/image.tar")


@pytest.fixture(scope="module")
def host(lab: Lab, package: Path) -> Machine:
    """A machine with Vagrant and libvirt, a checkout of what the page needs, our package and the box."""
    report = Reporter()
    seen = lab.folder / "host-srv"
    for name in ("vagrant", "systemd"):
        shutil.copytree(REPOSITORY / name, seen / name, ignore=shutil.ignore_patterns("join.env", ".vagrant"))
    (seen / "build").mkdir()
    shutil.copy(package, seen / "build")
    store = disk.image(lab.folder / "store")
    sources = (ground.image_archives(report) / "pause.tar", oci.archive(store, disk.IMAGE))
    for source, name in zip(sources, ARCHIVES, strict=True):
        shutil.copy(source, seen / name)
    made = lab.machine(
        "host",
        {seen: "/srv", box.obtain(report).folder: "/box"},
        base=roots.with_packages("libvirt", box.HOST, report),
    )
    with report.step("make a box, for libvirt", about=40):
        box.add(made)
    made.run("mkdir /root/pykubelet; cp -r /srv/vagrant /srv/systemd /srv/build /root/pykubelet")
    return made


def follow(host: Machine, block: pages.Block, **texts: str) -> str:
    """What the page's commands say; `texts` are in place of its examples."""
    return host.run(f"cd /root/pykubelet; export {SETTINGS}\n{block.with_texts(texts)}", timeout=800).stdout


@pytest.fixture(scope="module")
def worker(cluster: Cluster, host: Machine) -> Worker:
    """The one of the first case."""
    addresses = json.loads(cluster.kubectl("get node worker -o json"))["status"]["addresses"]
    return Worker(host, next(one["address"] for one in addresses if one["type"] == "InternalIP"))


def test_vagrant_up_makes_a_worker_that_joins(cluster: Cluster, host: Machine) -> None:
    ask, write, up, _ = pages.section(PAGE, "A worker that joins a cluster")
    words = cluster.control_plane.run(ask.commands).stdout.split()
    cluster.control_plane.run(f"ip route replace {box.NETWORK} via {host.address}")
    given = {"198.51.100.10:6443": words[2], "abcdef.0123456789abcdef": words[4], "sha256:...": words[6]}
    follow(host, write, **given)
    with Reporter().step("vagrant up", about=240):
        said = follow(host, up)
    assert "This node has joined the cluster" in said
    cluster.kubectl("wait --for=create node/worker --timeout=60s")


def test_it_is_a_node_of_ours_with_cgroup_v2(cluster: Cluster, host: Machine, worker: Worker) -> None:
    """Its Pod network is the cluster's matter, which here is this test."""
    assert worker.run("stat -fc %T /sys/fs/cgroup").stdout.strip() == "cgroup2fs"
    subnet, first = cluster.subnet(worker), cluster.control_plane
    worker.run(f"echo '{clusters.NETWORK.replace('SUBNET', subnet)}' > /etc/cni/net.d/10-net.conflist")
    first.run(f"ip route replace {subnet} via {host.address}")
    host.run(
        f"ip route replace {subnet} via {worker.address}; ip route replace {cluster.subnet(first)} via {first.address}"
    )
    cluster.kubectl("wait --for=condition=Ready node/worker --timeout=120s")
    assert "+pykubelet." in cluster.kubectl("get node worker -o jsonpath={.status.nodeInfo.kubeletVersion}")


def test_it_runs_a_pod_that_the_api_server_reaches(cluster: Cluster, worker: Worker) -> None:
    for archive in ARCHIVES:
        worker.import_image(f"/srv/{archive}")
    script = "mkdir /w; hostname > /w/index.html; echo started; exec httpd -f -p 80 -h /w"
    limited = k.container("c", "sh", "-c", script, image=disk.IMAGE, resources={"limits": {"memory": "32Mi"}})
    body = json.dumps(k.pod("web", limited, nodeName="worker"))
    cluster.control_plane.run(f"{clusters.KUBECTL} apply -f - <<'END'\n{body}\nEND")
    cluster.kubectl("wait --for=condition=Ready pod/web --timeout=120s")
    assert cluster.kubectl("logs web") == "started"
    assert cluster.kubectl("exec web -- cat /sys/fs/cgroup/memory.max") == str(32 << 20)
    assert cluster.kubectl("get --raw /api/v1/namespaces/default/pods/web/proxy/") == "web"


def test_it_goes(host: Machine) -> None:
    (block,) = pages.section(PAGE, "Away with it")
    follow(host, block)
    assert host.run("virsh list --all --name").stdout.split() == []
