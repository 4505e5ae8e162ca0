"""Genuine kubeadm makes nodes of pykubelet on machines with systemd, by the commands of docs/kubeadm.md. Needs root."""

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devcluster.progress import Reporter
from tests.machines import ground, machine
from tests.machines.machine import Machine

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/kubeadm.md"
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
IMPORT = "for tar in /images/*.tar; do ctr -n k8s.io images import $tar; done"
NETWORK = (
    '{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,'
    '"ipam":{"type":"host-local","ranges":[[{"subnet":"SUBNET"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}'
)

pytestmark = pytest.mark.skipif(
    not (REPOSITORY / "build/wheels").exists() or not Path("/sys/fs/cgroup/cpu").exists(),
    reason="needs `make wheels`, and machines need cgroup v1",
)


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine]]:
    """A control plane and a worker to be; all images are there, as there is no registry."""
    report = Reporter()
    base, images = ground.root(report), ground.image_archives(report)
    folder = Path(tempfile.mkdtemp(prefix="machines-", dir="/var/lib"))
    binds = {
        images: "/images",
        REPOSITORY / "build/wheels": "/srv/pykubelet/build/wheels",
        REPOSITORY / "systemd": "/srv/pykubelet/systemd",
    }
    made = Machine("m1", 1, base, folder / "m1", binds), Machine("m2", 2, base, folder / "m2", binds)
    try:
        for one in made:
            one.up()
            one.run(IMPORT)
        yield made
    finally:
        for one in made:
            one.down()
        machine.unplug_all()
        shutil.rmtree(folder, ignore_errors=True)


def until(check: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.5)


def blocks() -> list[tuple[str, str]]:
    """Where, and what, of each block of commands on the page, in order."""
    return re.findall(r"^```bash ([\w-]+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def test_the_page_makes_a_cluster(machines: tuple[Machine, Machine]) -> None:
    control_plane, worker = machines
    places = {"both": (control_plane, worker), "control-plane": (control_plane,), "worker": (worker,)}
    for where, commands in blocks():
        if "kubeadm join" in commands:
            words = control_plane.run("kubeadm token create --print-join-command 2>/dev/null").stdout.split()
            commands = commands.replace("CONTROL-PLANE:6443", words[2])
            commands = commands.replace("TOKEN", words[4]).replace("HASH", words[6])
        for one in places[where]:
            one.run(commands)
    nodes = control_plane.run(f"{KUBECTL} get nodes").stdout
    assert nodes.count("pykubelet") == 2, nodes


def test_the_control_plane_is_shown_as_pods_of_the_node(machines: tuple[Machine, Machine]) -> None:
    shown = machines[0].run(f"{KUBECTL} -n kube-system get pods --field-selector spec.nodeName=m1").stdout
    assert shown.count("1/1") == 4, shown


def test_both_nodes_hold_certificates_of_their_own(machines: tuple[Machine, Machine]) -> None:
    for one in machines:
        until(
            lambda one=one: (
                one.run("test -L /var/lib/kubelet/pki/kubelet-client-current.pem", check=False).returncode == 0
            )
        )
    assert "kubelet-client-current.pem" in machines[1].run("cat /etc/kubernetes/kubelet.conf").stdout


def test_with_a_pod_network_a_pod_runs_on_the_worker(machines: tuple[Machine, Machine]) -> None:
    control_plane, worker = machines
    for one in machines:
        subnet = control_plane.run(f"{KUBECTL} get node {one.name} -o jsonpath={{.spec.podCIDR}}").stdout
        other = worker if one is control_plane else control_plane
        other.run(f"ip route replace {subnet} via {one.address}")
        one.run(f"echo '{NETWORK.replace('SUBNET', subnet)}' > /etc/cni/net.d/10-net.conflist")
    control_plane.run(f"{KUBECTL} wait --for=condition=Ready node/m1 node/m2 --timeout=90s", timeout=120)
    image = "registry.k8s.io/e2e-test-images/busybox:1.37.0-2"
    control_plane.run(f"{KUBECTL} run one --image={image} --command -- sleep 1000")
    control_plane.run(f"{KUBECTL} wait --for=condition=Ready pod/one --timeout=90s", timeout=120)
    assert "m2" in control_plane.run(f"{KUBECTL} get pod one -o wide").stdout
    assert control_plane.run(f"{KUBECTL} exec one -- hostname").stdout.strip() == "one"


def test_a_restart_of_the_service_is_quick_and_restarts_no_container(machines: tuple[Machine, Machine]) -> None:
    control_plane, worker = machines
    began = time.monotonic()
    worker.run("systemctl restart kubelet")
    assert time.monotonic() - began < 30
    assert worker.run("systemctl show kubelet -p ActiveState --value").stdout.strip() == "active"
    shown = control_plane.run(f"{KUBECTL} get pod one -o jsonpath='{{.status.containerStatuses[0].restartCount}}'")
    assert shown.stdout == "0"
