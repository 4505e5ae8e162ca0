"""The node that storms go over: its faults, and what lies on it and runs on it."""

import asyncio
import dataclasses
import itertools
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import yaml

from devcluster import layout, netns
from devcluster.api import Cluster, Node
from pykubelet.cri import channel
from pykubelet.cri.runtime import Runtime
from pykubelet.model.observed import Container, Sandbox
from tests.chaos import pods
from tests.e2e import lab as machines
from tests.e2e.kube import Manifest

_VOLUMES = "/var/lib/kubelet/pods"
_DELAY = "/var/lib/node/chaos-cni-delay"


@dataclasses.dataclass(frozen=True)
class Runs:
    """What the runtime has."""

    sandboxes: tuple[Sandbox, ...]
    containers: tuple[Container, ...]


class Ground:
    """Faults are methods; each may be done at any time. `prepare` first, `restore` last."""

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self.cluster, self.node = cluster, node
        self.static_folder = node.files.outside(layout.STATIC_PODS)
        self.notes = node.files.outside(Path(pods.NOTES))
        self._kubelet_log = node.log("kubelet")
        self._read_to = self._kubelet_log.stat().st_size

    def prepare(self) -> None:
        """Small disks for Pods' volumes, and a CNI plugin that can be slow."""
        sh = "mkdir -p {0} {1} {2} && mount -t tmpfs -o size=4m small {1} && mount -t tmpfs -o size=24m volumes {2}"
        self.node.exec("sh", "-c", sh.format(pods.NOTES, pods.SMALL, _VOLUMES))
        bridge = self.node.files.outside(layout.NODE_BIN) / "bridge"
        real = bridge.resolve()
        bridge.unlink()
        bridge.write_text(f'#!/bin/sh\nsleep $(cat {_DELAY} 2>/dev/null || echo 0)\nexec {real} "$@"\n')
        bridge.chmod(0o755)

    # Faults.
    def kill_kubelet(self) -> None:
        self.node.stop("kubelet", sign=signal.SIGKILL)

    def start_kubelet(self) -> None:
        if not self.node.runs("kubelet"):
            self.node.start("kubelet", wait=False)

    def kill_containerd(self) -> None:
        self.node.restart("containerd", sign=signal.SIGKILL)

    def cut(self, off: bool) -> None:
        netns.cut(self.cluster.files, self.cluster.spec, [self.node.name] if off else [])

    def slow_cni(self, seconds: float) -> None:
        self.node.files.outside(Path(_DELAY)).write_text(str(seconds))

    def fill_disk(self) -> None:
        # That dd fails for want of room is the point.
        self.node.exec("sh", "-c", f"dd if=/dev/zero of={_VOLUMES}/.full bs=64k 2>/dev/null; true")

    def free_disk(self) -> None:
        self.node.exec("sh", "-c", f"rm -f {_VOLUMES}/.full {pods.SMALL}/*")

    def heal(self) -> None:
        """End every fault."""
        self.cut(off=False)
        self.slow_cni(0)
        self.free_disk()
        self.start_kubelet()

    # Static Pods.
    def write_static(self, name: str, manifest: Manifest) -> None:
        part = self.static_folder / f".{name}"
        part.write_text(yaml.safe_dump(manifest))
        part.rename(self.static_folder / f"{name}.yaml")

    def remove_static(self, name: str) -> None:
        (self.static_folder / f"{name}.yaml").unlink(missing_ok=True)

    # What there is.
    def runs(self) -> Runs:
        """Asked of the runtime itself."""
        return asyncio.run(self._runs())

    async def _runs(self) -> Runs:
        async with channel.open_channel(f"unix://{self.node.containerd_socket}") as connection:
            runtime = Runtime(connection, timeout=20)
            return Runs(tuple(await runtime.list_sandboxes()), tuple(await runtime.list_containers()))

    def left_of_pods(self) -> dict[str, set[str]]:
        """UIDs that have a folder, a mount, a cgroup or a folder of logs, by where."""
        table = self.node.exec("cat", "/proc/self/mountinfo").splitlines()
        points = (line.split()[4] for line in table)
        return {
            "folder": set(self.node.exec("ls", _VOLUMES).split()),
            "mount": {point.split("/")[5] for point in points if point.startswith(f"{_VOLUMES}/")},
            "cgroup": {name.removeprefix("pod") for name in machines.pod_cgroups(self.node)},
            "log": {entry.name.rpartition("_")[2] for entry in os.scandir(self.node.files.pod_logs)},
        }

    def networks(self) -> int:
        """Network namespaces of Pods."""
        return len(self.node.exec("sh", "-c", "ls /run/netns 2>/dev/null || true").split())

    def note_files(self) -> dict[str, list[list[str]]]:
        """What Pods noted, by `name.uid`: container, what, when."""
        found = {}
        for path in self.notes.iterdir():
            if path.suffix != ".lock" and path.name != "violations":
                found[path.name] = [line.split() for line in path.read_text().splitlines()]
        return found

    def doubles(self) -> list[str]:
        """Containers that began while another of them ran."""
        path = self.notes / "violations"
        return path.read_text().splitlines() if path.exists() else []

    def tracebacks(self) -> list[str]:
        """What pykubelet logged of errors it did not expect, since it was asked last."""
        with self._kubelet_log.open(errors="replace") as log:
            log.seek(self._read_to)
            text = log.read()
            self._read_to = log.tell()
        parts = text.split("Traceback (most recent call last)")
        return [f"{before[-300:]} ... {after[:1500]}" for before, after in itertools.pairwise(parts)]


def uids(found: Iterable[Manifest]) -> set[str]:
    """The UIDs under which the node has these Pods: a static one's is what its mirror says."""
    mirror = "kubernetes.io/config.mirror"
    return {pod["metadata"].get("annotations", {}).get(mirror, pod["metadata"]["uid"]) for pod in found}
