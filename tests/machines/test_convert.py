"""A genuine worker becomes one of ours and goes back, by the commands of docs/convert.md; no container is restarted."""

import json
from pathlib import Path

import pytest

from tests.machines import pages
from tests.machines.cluster import Cluster
from tests.machines.machine import Machine

PAGE = "convert.md"
BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.37.0-2"
PODS = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: stays}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: stays}}}}
  template:
    metadata: {{labels: {{app: stays}}}}
    spec:
      nodeName: m3
      terminationGracePeriodSeconds: 1
      initContainers: [{{name: first, image: "{BUSYBOX}", command: ["true"]}}]
      containers:
      - name: main
        image: "{BUSYBOX}"
        command: [sleep, "3600"]
        readinessProbe: {{exec: {{command: ["true"]}}}}
        resources: {{limits: {{memory: 50Mi, cpu: 100m}}}}
        volumeMounts: [{{name: scratch, mountPath: /scratch}}]
      - {{name: beside, image: "{BUSYBOX}", command: [sleep, "3600"]}}
      volumes: [{{name: scratch, emptyDir: {{}}}}]
"""
STATIC = f"""
apiVersion: v1
kind: Pod
metadata: {{name: static, namespace: default}}
spec: {{containers: [{{name: main, image: "{BUSYBOX}", command: [sleep, "3600"]}}]}}
"""

pytestmark = pytest.mark.timeout(300, func_only=True)  # of one test; machines are made and taken away outside of it


def processes(worker: Machine) -> list[str]:
    """Every container of the node and its first process: a restart would change both."""
    return sorted(worker.run("ctr -n k8s.io tasks list | tail -n +2").stdout.splitlines())


def version(cluster: Cluster) -> str:
    return cluster.kubectl("get node m3 -o jsonpath={.status.nodeInfo.kubeletVersion}")


def restarts(cluster: Cluster) -> set[int]:
    pods = json.loads(cluster.kubectl("get pods --field-selector spec.nodeName=m3 -o json"))["items"]
    return {status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]}


def follow(section: str, cluster: Cluster, worker: Machine) -> None:
    for block in pages.section(PAGE, section):
        {"worker": worker, "control-plane": cluster.control_plane}[block.where].run(block.commands)


@pytest.fixture(scope="module")
def before(cluster: Cluster, genuine_worker: Machine) -> list[str]:
    """A genuine worker with Pods of several kinds; its containers."""
    cluster.join(genuine_worker)
    assert version(cluster) == "v1.37.2"
    genuine_worker.run(f"cat > /etc/kubernetes/manifests/static.yaml <<'YAML'{STATIC}YAML")
    cluster.control_plane.run(f"cat <<'YAML' | kubectl --kubeconfig=/etc/kubernetes/admin.conf apply -f -{PODS}YAML")
    cluster.kubectl("rollout status deployment/stays --timeout=120s")
    cluster.kubectl("wait --for=create pod/static-m3 --timeout=60s")
    cluster.kubectl("wait --for=condition=Ready pod/static-m3 --timeout=60s")
    follow("Before", cluster, genuine_worker)
    return processes(genuine_worker)


def test_one_command_converts_a_worker_and_restarts_nothing(
    cluster: Cluster, genuine_worker: Machine, before: list[str], package: Path
) -> None:
    follow("Convert", cluster, genuine_worker)
    cluster.until(lambda: "pykubelet" in version(cluster))
    cluster.kubectl("wait --for=condition=Ready node/m3 pod/static-m3 --timeout=60s")
    cluster.kubectl("wait --for=condition=Ready pod -l app=stays --timeout=60s")
    assert processes(genuine_worker) == before
    assert restarts(cluster) == {0}


def test_the_converted_worker_runs_new_pods_and_ends_old_ones(cluster: Cluster, genuine_worker: Machine) -> None:
    before = processes(genuine_worker)
    cluster.kubectl("delete pod -l app=stays --timeout=120s")
    cluster.kubectl("rollout status deployment/stays --timeout=120s")
    cluster.until(lambda: len(processes(genuine_worker)) == len(before))  # the old ones are gone
    assert processes(genuine_worker) != before


def test_an_upgrade_of_the_package_restarts_nothing_and_keeps_settings(
    cluster: Cluster, genuine_worker: Machine, package: Path
) -> None:
    running = processes(genuine_worker)
    genuine_worker.run("echo '# mine' >> /etc/default/pyproxy")
    agent = genuine_worker.run("systemctl show --property MainPID --value kubelet").stdout
    genuine_worker.run(f"dpkg-deb --raw-extract /srv/{package.name} /root/next")
    genuine_worker.run(
        "sed -i 's/^Version: .*/&+next/' /root/next/DEBIAN/control; echo '# next' >> /root/next/etc/default/pyproxy"
    )
    genuine_worker.run("dpkg-deb -Znone --root-owner-group --build /root/next /root/next.deb")
    genuine_worker.run("dpkg --install --force-confold /root/next.deb")
    assert genuine_worker.run("systemctl show --property MainPID --value kubelet").stdout != agent
    assert genuine_worker.run("systemctl is-active kubelet").stdout.strip() == "active"
    assert "# mine" in genuine_worker.run("cat /etc/default/pyproxy").stdout
    assert processes(genuine_worker) == running
    assert restarts(cluster) == {0}


def test_one_command_gives_the_worker_back_and_restarts_nothing(cluster: Cluster, genuine_worker: Machine) -> None:
    running = processes(genuine_worker)
    follow("Roll back", cluster, genuine_worker)
    cluster.until(lambda: version(cluster) == "v1.37.2")
    cluster.kubectl("wait --for=condition=Ready node/m3 pod/static-m3 --timeout=60s")
    cluster.kubectl("wait --for=condition=Ready pod -l app=stays --timeout=60s")
    assert processes(genuine_worker) == running
    assert restarts(cluster) == {0}
    assert genuine_worker.run("dpkg --verify kubelet; dpkg-divert --list '*kubelet*'").stdout == ""
    assert "# mine" in genuine_worker.run("cat /etc/default/pyproxy").stdout


def test_a_purge_takes_our_settings_too(genuine_worker: Machine) -> None:
    genuine_worker.run("apt-get purge --yes pykubelet")
    assert not genuine_worker.run(
        "ls -d /opt/pykubelet /etc/default/pyproxy /etc/sysctl.d/90-pykubelet.conf || true"
    ).stdout
    assert genuine_worker.run("systemctl is-active kubelet").stdout.strip() == "active"


def test_what_the_page_says_for_trouble_can_be_run(cluster: Cluster, genuine_worker: Machine, package: Path) -> None:
    follow("When something is wrong", cluster, genuine_worker)
