"""Genuine kubeadm makes nodes of pykubelet on machines with systemd, by the commands of docs/kubeadm.md. Needs root."""

import time

import pytest

from tests.machines import pages
from tests.machines.machine import Machine

PAGE = "kubeadm.md"
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
NETWORK = (
    '{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,'
    '"ipam":{"type":"host-local","ranges":[[{"subnet":"SUBNET"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}'
)

pytestmark = pytest.mark.timeout(300, func_only=True)  # of one test; machines are made and taken away outside of it


def test_the_page_makes_a_cluster(control_plane: Machine, worker: Machine) -> None:
    places = {"both": (control_plane, worker), "control-plane": (control_plane,), "worker": (worker,)}
    for block in pages.blocks(PAGE):
        commands = block.commands
        if "kubeadm join" in commands:
            words = control_plane.run("kubeadm token create --print-join-command 2>/dev/null").stdout.split()
            commands = commands.replace("CONTROL-PLANE:6443", words[2])
            commands = commands.replace("TOKEN", words[4]).replace("HASH", words[6])
        for one in places[block.where]:
            one.run(commands)
    nodes = control_plane.run(f"{KUBECTL} get nodes").stdout
    assert nodes.count("pykubelet") == 2, nodes


def test_the_control_plane_is_shown_as_pods_of_the_node(control_plane: Machine, worker: Machine) -> None:
    shown = control_plane.run(f"{KUBECTL} -n kube-system get pods --field-selector spec.nodeName=m1").stdout
    assert shown.count("1/1") == 4, shown


def test_both_nodes_hold_certificates_of_their_own(control_plane: Machine, worker: Machine) -> None:
    for one in (control_plane, worker):
        one.succeeds("test -L /var/lib/kubelet/pki/kubelet-client-current.pem")
    assert "kubelet-client-current.pem" in worker.run("cat /etc/kubernetes/kubelet.conf").stdout


def test_with_a_pod_network_a_pod_runs_on_the_worker(control_plane: Machine, worker: Machine) -> None:
    for one in (control_plane, worker):
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


def test_a_restart_of_the_service_is_quick_and_restarts_no_container(control_plane: Machine, worker: Machine) -> None:
    began = time.monotonic()
    worker.run("systemctl restart kubelet")
    assert time.monotonic() - began < 30
    assert worker.run("systemctl show kubelet -p ActiveState --value").stdout.strip() == "active"
    shown = control_plane.run(f"{KUBECTL} get pod one -o jsonpath='{{.status.containerStatuses[0].restartCount}}'")
    assert shown.stdout == "0"
