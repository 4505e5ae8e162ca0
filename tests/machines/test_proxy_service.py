"""pyproxy as a service of systemd with a kubeconfig of its own, by the commands of docs/install.md."""

import json
from dataclasses import dataclass

import pytest

from tests.machines import pages
from tests.machines.cluster import Cluster
from tests.machines.machine import Machine

pytestmark = pytest.mark.timeout(300, func_only=True)  # of one test; machines are made and taken away outside of it
SECTION = "pyproxy as a service of systemd"
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.66.1"


@dataclass(frozen=True)
class Service:
    """Where one answers on a machine."""

    cluster_ip: str
    node_port: int

    def answers(self, machine: Machine) -> bool:
        urls = (f"http://{self.cluster_ip}/hostname", f"http://{machine.address}:{self.node_port}/hostname")
        return all(machine.answer(url).startswith("echo-") for url in urls)


def exposed(cluster: Cluster, name: str) -> Service:
    """Another Service before the Pods of deployment echo."""
    cluster.kubectl(f"expose deployment echo --name={name} --type=NodePort --port=80 --target-port=8080")
    spec = json.loads(cluster.kubectl(f"get service {name} -o json"))["spec"]
    return Service(spec["clusterIP"], spec["ports"][0]["nodePort"])


def shown(machine: Machine, field: str) -> str:
    return machine.run(f"systemctl show pyproxy -p {field} --value").stdout.strip()


@pytest.fixture(scope="module")
def proxied(cluster: Cluster, worker: Machine) -> Machine:
    """A worker that runs pyproxy as the page says."""
    if worker not in cluster.nodes:
        worker.run(pages.section("install.md", "Install")[0].commands)
        cluster.join(worker)
    cluster.kubectl(f"create deployment echo --replicas=2 --image={AGNHOST} -- /agnhost netexec --http-port=8080")
    cluster.kubectl("rollout status deployment/echo --timeout=120s")
    for block in pages.section("install.md", SECTION):
        if block.where == "control-plane":
            cluster.control_plane.run(block.commands)
            made = cluster.control_plane.run("cat /root/kube-proxy.conf").stdout
            worker.run(f"umask 077; cat > /etc/kubernetes/kube-proxy.conf <<'CONF'\n{made}\nCONF")
        elif block.where == "node":
            worker.run(block.commands)
    return worker


def test_services_answer_once_systemd_says_that_it_is_started(cluster: Cluster, proxied: Machine) -> None:
    assert shown(proxied, "ActiveState") == "active"
    assert shown(proxied, "StatusText") == "the rules stand"
    service = exposed(cluster, "first")
    proxied.until("the Service answers", lambda: service.answers(proxied))
    assert proxied.answer("http://127.0.0.1:10256/healthz")


def test_it_needs_no_more_than_its_unit_lets_it_do(proxied: Machine) -> None:
    said = proxied.run("journalctl -u pyproxy -p warning -o cat --no-pager").stdout
    refused = [line for line in said.splitlines() if "permitted" in line or "denied" in line]
    assert not refused


def test_services_answer_while_it_is_dead_and_new_ones_when_systemd_has_started_it_again(
    cluster: Cluster, proxied: Machine
) -> None:
    service, before = exposed(cluster, "second"), shown(proxied, "MainPID")
    proxied.until("the Service answers", lambda: service.answers(proxied))
    proxied.run(f"kill -9 {before}")
    assert service.answers(proxied)
    later = exposed(cluster, "third")
    proxied.until("a Service made meanwhile answers", lambda: later.answers(proxied))
    assert shown(proxied, "NRestarts") == "1"
    assert shown(proxied, "MainPID") not in ("0", before)


def test_services_answer_after_a_reboot(cluster: Cluster, proxied: Machine) -> None:
    service = exposed(cluster, "fourth")
    proxied.reboot()
    proxied.until("the Service answers", lambda: service.answers(proxied), seconds=120)
    assert shown(proxied, "ActiveState") == "active"


def test_it_can_be_stopped_and_its_rules_taken_away(cluster: Cluster, proxied: Machine) -> None:
    service = exposed(cluster, "fifth")
    proxied.until("the Service answers", lambda: service.answers(proxied))
    stop, take_away = (block for block in pages.section("install.md", SECTION) if block.where == "away")
    proxied.run(stop.commands)
    assert service.answers(proxied)
    proxied.run(take_away.commands)
    assert "pyproxy" not in proxied.run("nft list tables").stdout
    assert not service.answers(proxied)
