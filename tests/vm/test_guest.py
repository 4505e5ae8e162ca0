"""A node with cgroup v2 and the systemd driver: our package, kubeadm, limits that are held.

The cases go on from each other. They need root, and `make deb`.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.machines import pages
from tests.machines.cluster import Cluster
from tests.vm import disk
from tests.vm.guest import Guest

# Of one test, for which the guest is emulated; it is made and taken away outside of it.
pytestmark = pytest.mark.timeout(600, func_only=True)
PODS = f"""
apiVersion: v1
kind: Pod
metadata: {{name: web, labels: {{app: web}}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: "{disk.IMAGE}"
    command: [sh, -c, "mkdir -p /w; hostname > /w/index.html; exec httpd -f -p 80 -h /w"]
    readinessProbe: {{httpGet: {{port: 80}}, periodSeconds: 1}}
    resources: {{requests: {{cpu: 100m, memory: 32Mi}}, limits: {{cpu: 500m, memory: 64Mi}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: busy}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: "{disk.IMAGE}"
    command: [sh, -c, "while :; do :; done"]
    resources: {{limits: {{cpu: 200m, memory: 32Mi}}}}
"""


def apply(cluster: Cluster, manifest: str) -> None:
    kubectl = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
    cluster.control_plane.run(f"cat <<'YAML' | {kubectl} apply -f -\n{manifest}\nYAML")


def pod(cluster: Cluster, name: str) -> dict[str, Any]:
    return json.loads(cluster.kubectl(f"get pod {name} -o json"))


def cgroups_of(cluster: Cluster, name: str) -> tuple[str, str]:
    """A Pod's slice and its container's scope, by the names that systemd wants, below /sys/fs/cgroup."""
    found = pod(cluster, name)
    quality = found["status"]["qosClass"].lower()
    uid = found["metadata"]["uid"].replace("-", "_")
    container = found["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    parents = ["kubepods.slice"] + ([] if quality == "guaranteed" else [f"kubepods-{quality}.slice"])
    own = f"{parents[-1].removesuffix('.slice')}-pod{uid}.slice"
    return "/".join((*parents, own)), f"cri-containerd-{container}.scope"


def values(guest: Guest, folder: str, *names: str) -> list[str]:
    paths = " ".join(f"/sys/fs/cgroup/{folder}/{name}" for name in names)
    return guest.run(f"cat {paths}").stdout.splitlines()


def limits_are_set(cluster: Cluster, guest: Guest) -> None:
    slice_, scope = cgroups_of(cluster, "web")
    names = ("memory.max", "cpu.max")
    for folder in (slice_, f"{slice_}/{scope}"):
        assert values(guest, folder, *names) == [str(64 << 20), "50000 100000"], folder
    assert values(guest, f"{slice_}/{scope}", "memory.oom.group") == ["1"]


def test_the_guest_has_cgroup_v2_and_nothing_of_v1(guest: Guest) -> None:
    assert guest.run("stat --file-system --format=%T /sys/fs/cgroup").stdout.strip() == "cgroup2fs"
    assert guest.run("findmnt --noheadings --types cgroup || true").stdout == ""
    assert set(values(guest, "", "cgroup.controllers")[0].split()) >= {"cpuset", "cpu", "io", "memory", "pids"}


def test_the_package_installs(guest: Guest) -> None:
    for block in pages.section("install.md", "Install"):
        said = guest.run(block.commands).stdout
    assert said.splitlines()[-1] == "Kubernetes v1.37.2"


def test_it_joins_and_kubeadm_finds_nothing_to_overlook(cluster: Cluster, guest: Guest) -> None:
    cluster.join(guest, cgroup_v1=False)
    assert "pykubelet" in cluster.kubectl(f"get node {guest.name} -o jsonpath={{.status.nodeInfo.kubeletVersion}}")
    assert "cgroupDriver: systemd" in guest.run("cat /var/lib/kubelet/config.yaml").stdout


def test_a_pod_with_limits_is_in_cgroups_of_systemd_that_have_them(cluster: Cluster, guest: Guest) -> None:
    apply(cluster, PODS)
    cluster.kubectl("wait --for=condition=Ready pod/web pod/busy --timeout=180s")
    limits_are_set(cluster, guest)
    slice_, scope = cgroups_of(cluster, "web")
    own = Path(slice_).name
    assert guest.run(f"systemctl is-active {own} {scope}").stdout.split() == ["active", "active"]
    assert guest.run(f"systemctl show --property MemoryMax --value {own} {scope}").stdout.split() == [str(64 << 20)] * 2
    assert cluster.kubectl("exec web -- cat /sys/fs/cgroup/memory.max") == str(64 << 20)


def test_a_cpu_limit_is_enforced(cluster: Cluster, guest: Guest) -> None:
    folder = "/sys/fs/cgroup/" + "/".join(cgroups_of(cluster, "busy"))
    usage = f"sed -n 's/^usage_usec //p' {folder}/cpu.stat"
    script = f"date +%s%6N; {usage}; sleep 10; date +%s%6N; {usage}; sed -n 's/^nr_throttled //p' {folder}/cpu.stat"
    began, before, now, after, throttled = map(int, guest.run(script).stdout.split())
    share = (after - before) / (now - began)
    print(f"a Pod that may use 0.2 cores used {share:.3f}; throttled {throttled} times")
    assert 0.1 < share < 0.22
    assert throttled > 0
