"""Genuine kubeadm makes, keeps and unmakes nodes of pykubelet, by the commands of docs/kubeadm.md. Needs root."""

import json
import time

import pytest

from tests.machines import pages
from tests.machines.cluster import Cluster
from tests.machines.machine import Machine

PAGE = "kubeadm.md"
BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.37.0-2"

pytestmark = pytest.mark.timeout(300, func_only=True)  # of one test; machines are made and taken away outside of it


def follow(section: str, cluster: Cluster, worker: Machine) -> None:
    places = {"worker": (worker,), "control-plane": (cluster.control_plane,), "both": (cluster.control_plane, worker)}
    for block in pages.section(PAGE, section):
        for one in places[block.where]:
            one.run(block.commands)


def pods_of(cluster: Cluster, node: str) -> dict[str, str]:
    """The Pods of a node that are Ready, and their UIDs."""
    pods = json.loads(cluster.kubectl(f"get pods -A --field-selector spec.nodeName={node} -o json"))["items"]
    ready = {"type": "Ready", "status": "True"}
    return {
        pod["metadata"]["name"]: pod["metadata"]["uid"]
        for pod in pods
        if any(ready.items() <= condition.items() for condition in pod["status"].get("conditions", []))
    }


def test_a_machine_joins(cluster: Cluster, worker: Machine) -> None:
    if worker.run("command -v kubelet", check=False).returncode:
        worker.run(pages.section("install.md", "Install")[0].commands)
    cluster.join(worker)
    nodes = cluster.kubectl("get nodes")
    assert nodes.count(" Ready ") == 2, nodes
    assert nodes.count("pykubelet") == 2, nodes


def test_the_control_plane_is_shown_as_pods_of_the_node(cluster: Cluster) -> None:
    cluster.until(lambda: len(pods_of(cluster, "m1")) >= 4)


def test_both_nodes_hold_certificates_of_their_own(cluster: Cluster, worker: Machine) -> None:
    for one in (cluster.control_plane, worker):
        one.succeeds("test -L /var/lib/kubelet/pki/kubelet-client-current.pem")
    assert "kubelet-client-current.pem" in worker.run("cat /etc/kubernetes/kubelet.conf").stdout


def test_a_pod_runs_on_the_worker(cluster: Cluster) -> None:
    cluster.kubectl(f"run one --image={BUSYBOX} --command -- sleep 1000")
    cluster.kubectl(f"create deployment some --replicas=3 --image={BUSYBOX} -- sleep 1000")
    cluster.kubectl("wait --for=condition=Ready pod/one --timeout=90s")
    cluster.kubectl("rollout status deployment/some --timeout=90s")
    assert "m2" in cluster.kubectl("get pod one -o wide")
    assert cluster.kubectl("exec one -- hostname") == "one"


def test_a_restart_of_the_service_is_quick_and_restarts_no_container(cluster: Cluster, worker: Machine) -> None:
    began = time.monotonic()
    worker.run("systemctl restart kubelet")
    assert time.monotonic() - began < 30
    assert worker.run("systemctl show kubelet -p ActiveState --value").stdout.strip() == "active"
    assert cluster.kubectl("get pod one -o jsonpath='{.status.containerStatuses[0].restartCount}'") == "0"


def test_what_the_page_says_for_trouble_can_be_run(cluster: Cluster, worker: Machine) -> None:
    follow("When something is wrong", cluster, worker)


def test_an_upgrade_gives_the_node_the_clusters_configuration(cluster: Cluster, worker: Machine) -> None:
    shown = "get -n kube-system configmap kubelet-config -o yaml"
    edit = "sed 's/^    kind: KubeletConfiguration/    maxPods: 77\\n&/'"
    cluster.kubectl(f"{shown} | {edit} | kubectl --kubeconfig=/etc/kubernetes/admin.conf replace -f -")
    follow("Upgrade", cluster, worker)
    for node in ("m1", "m2"):
        cluster.until(
            lambda node=node: cluster.kubectl(f"get node {node} -o jsonpath={{.status.capacity.pods}}") == "77"
        )
    cluster.kubectl("wait --for=condition=Ready node/m1 node/m2 --timeout=60s")
    assert cluster.kubectl("get pod one -o jsonpath='{.status.containerStatuses[0].restartCount}'") == "0"


def test_renewed_certificates_are_in_use_when_the_control_plane_has_restarted(
    cluster: Cluster, worker: Machine
) -> None:
    shown = "python3 -c \"import ssl; print(ssl.get_server_certificate(('127.0.0.1', 6443)))\""
    before = cluster.control_plane.run(shown).stdout
    follow("Renew certificates", cluster, worker)
    cluster.control_plane.succeeds("kubectl --kubeconfig=/etc/kubernetes/admin.conf get --raw /readyz", seconds=120)
    assert cluster.control_plane.run(shown).stdout != before
    cluster.kubectl("wait --for=condition=Ready node/m1 node/m2 --timeout=90s")
    cluster.until(lambda: len([name for name in pods_of(cluster, "m1") if name.endswith("-m1")]) == 4)


def test_all_pods_return_when_a_worker_is_rebooted(cluster: Cluster, worker: Machine) -> None:
    before = pods_of(cluster, "m2")
    boot = cluster.kubectl("get node m2 -o jsonpath={.status.nodeInfo.bootID}")
    started = cluster.kubectl("get pod one -o jsonpath={.status.containerStatuses[0].state.running.startedAt}")
    worker.reboot()
    cluster.kubectl("wait --for=condition=Ready node/m2 --timeout=120s")
    for name in ("one",):
        now = f"get pod {name} -o jsonpath={{.status.containerStatuses[0].state.running.startedAt}}"
        cluster.until(lambda now=now: cluster.kubectl(now) not in ("", started), seconds=120)
    cluster.until(lambda: pods_of(cluster, "m2") == before, seconds=120)
    assert boot  # nspawn machines share the host's boot id: the restarted containers are what shows the reboot


def test_a_reset_leaves_a_machine_that_can_join_again(cluster: Cluster, worker: Machine) -> None:
    follow("Take a node away", cluster, worker)
    assert worker.run("ctr -n k8s.io tasks list -q").stdout == ""
    left = worker.run(
        "ls -A /etc/kubernetes/manifests /var/lib/kubelet; findmnt -rno TARGET | grep kubelet/pods || true"
    )
    assert left.stdout.split() == ["/etc/kubernetes/manifests:", "/var/lib/kubelet:"]
    cluster.until(lambda: "m2" not in cluster.kubectl("get nodes -o name"))
    cluster.join(worker)
    cluster.kubectl(f'run two --image={BUSYBOX} --overrides=\'{{"spec":{{"nodeName":"m2"}}}}\' --command -- sleep 1000')
    cluster.kubectl("wait --for=condition=Ready pod/two --timeout=90s")
