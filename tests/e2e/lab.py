"""The machines behind the cluster, where the tests may reach them: its image registry, and what lies on a node."""

import contextlib
import dataclasses
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from devcluster import cgroups, netns
from devcluster.api import Cluster, Node

SOURCE = ("pause", "3.10.2")


@contextlib.contextmanager
def added(cluster: str, member: str) -> Iterator[Node]:
    """One node more, `n8` or `n9=genuine`, for as long as the block runs."""
    command = [sys.executable, "-m", "devcluster", "--name", cluster, "node"]
    name, _, _ = member.partition("=")
    subprocess.run([*command, "add", member], check=True, timeout=180)
    try:
        yield Cluster(cluster).node(name)
    finally:
        subprocess.run([*command, "remove", name], check=True, timeout=120)


@dataclasses.dataclass(frozen=True)
class Registry:
    """The cluster's registry, which its nodes ask for whatever is named registry.k8s.io."""

    cluster: Cluster

    def unused_name(self) -> str:
        """An image name that nothing answers to yet."""
        return f"registry.k8s.io/late-{uuid.uuid4().hex[:8]}:1"

    def publish(self, image: str) -> None:
        """Make the pause image available under this name."""
        repository, tag = image.removeprefix("registry.k8s.io/").split(":")
        name, version = SOURCE
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = self._ask("GET", f"/v2/{name}/manifests/{version}", accept=kind)
        found = json.loads(manifest)
        for blob in (found["config"], *found["layers"]):
            self._ask("POST", f"/v2/{repository}/blobs/uploads/?mount={blob['digest']}&from={name}")
        self._ask("PUT", f"/v2/{repository}/manifests/{tag}", body=manifest, content=found.get("mediaType", kind))

    def _ask(
        self, method: str, path: str, *, accept: str = "*/*", body: bytes | None = None, content: str = ""
    ) -> bytes:
        host, port = self.cluster.spec.registry.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.sock = netns.connect(self.cluster.files.netns(netns.CONTROL_PLANE), (host, int(port)), 10)
        try:
            connection.request(method, path, body, {"Accept": accept, **({"Content-Type": content} if content else {})})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        assert answer.status < 300, f"{method} {path}: {answer.status} {data[:300]!r}"
        return data


@dataclasses.dataclass(frozen=True)
class Leftovers:
    """What a node holds of Pods, by UID where there is one; two of these can be compared."""

    sandboxes: frozenset[str]
    containers: frozenset[str]
    folders: frozenset[str]
    mounts: frozenset[str]
    cgroups: frozenset[str]
    veths: int


def aborted_starts(node: Node) -> frozenset[str]:
    """Containers and sandboxes whose start containerd gave up half-way, as the kubelet that had asked was killed.

    containerd 2.4 then leaves a task that no CRI call can remove ("cannot delete running task") and the container has
    to be made anew, counted as a restart: so it does to a genuine kubelet that is killed in the same moment. Of a
    sandbox it says so itself, and does not list it until it is restarted.
    """
    text = node.log("containerd").read_text(errors="replace")
    started = re.findall(r'StartContainer for \\"([0-9a-f]{64})\\" failed".*context canceled', text)
    sandboxes = re.findall(r'cleaning up failed sandbox \\"([0-9a-f]{64})\\".*cannot delete running task', text)
    return frozenset(started) | frozenset(sandboxes)


def leftovers(node: Node) -> Leftovers:
    """Everything of Pods that a node has now."""
    listed = node.ctr("containers", "list").splitlines()[1:]
    ids = frozenset(line.split()[0] for line in listed if line.strip())
    running = frozenset(line.split()[0] for line in node.ctr("tasks", "list", "-q").splitlines() if line.strip())
    links = json.loads(node.exec("ip", "-j", "link", "show", "type", "veth"))
    table = node.exec("cat", "/proc/self/mountinfo").splitlines()
    pods = node.kubelet_root / "pods"
    return Leftovers(
        sandboxes=running,
        containers=ids,
        folders=frozenset(os.listdir(pods)) if pods.is_dir() else frozenset(),
        mounts=frozenset(point for line in table if (point := line.split()[4]).startswith("/var/lib/kubelet/pods/")),
        cgroups=frozenset(pod_cgroups(node)),
        veths=sum(1 for link in links if link.get("master") == "cni0"),
    )


def pod_cgroups(node: Node) -> Iterator[str]:
    """The names of the Pods' cgroups in the memory hierarchy (v1) or the only one (v2)."""
    top = Path("/sys/fs/cgroup/memory")
    root = (top if top.is_dir() else top.parent) / node.cgroup_root.lstrip("/") / "kubepods"
    for folder in (root, root / "burstable", root / "besteffort"):
        if folder.is_dir():
            yield from (entry.name for entry in os.scandir(folder) if entry.name.startswith("pod"))


def power_off(node: Node) -> None:
    """What is left of a node whose machine lost its power: what lies on its disk."""
    for part in ("kubelet", "proxy", "containerd"):
        node.stop(part, sign=signal.SIGKILL)
    cgroups.kill(node.cgroup_root)
    table = node.exec("cat", "/proc/self/mountinfo").splitlines()
    gone = ("/run/containerd/", "/run/netns/", "/var/lib/kubelet/")
    points = [point for line in table if (point := line.split()[4]).startswith(gone)]
    for point in reversed(points):
        node.exec("umount", "-l", point)
    node.exec("sh", "-c", "rm -rf /run/containerd/* /run/netns/*")
    cgroups.remove(f"{node.cgroup_root}/kubepods")


def power_on(node: Node) -> None:
    """Start it again; nobody waits for it to be Ready, as there may be no API server."""
    node.start("containerd")
    node.start("proxy", wait=False)
    node.start("kubelet", wait=False)


def limits(node: Node, uid: str) -> tuple[int, int]:
    """The limits of a Guaranteed Pod's cgroup: memory in bytes, CPU in microseconds of each period."""
    root, path = Path("/sys/fs/cgroup"), f"{node.cgroup_root}/kubepods/pod{uid}".lstrip("/")
    if (root / "memory").is_dir():
        memory, cpu = root / "memory" / path / "memory.limit_in_bytes", root / "cpu" / path / "cpu.cfs_quota_us"
    else:
        memory, cpu = root / path / "memory.max", root / path / "cpu.max"
    return int(memory.read_text()), int(cpu.read_text().split()[0])
