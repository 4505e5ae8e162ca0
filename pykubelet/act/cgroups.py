"""Makes and removes the cgroups of QoS classes and Pods, on cgroup v1 and v2, with the cgroupfs driver.

Source: pkg/kubelet/cm (cgroup_manager_linux.go, pod_container_manager_linux.go).
"""

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from pykubelet.decide import cgroups, qos
from pykubelet.decide.cgroups import Values
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod

MOUNT = Path("/sys/fs/cgroup")
_ATTEMPTS = 50
_PAUSE = 0.1

log = logging.getLogger(__name__)


class Cgroups:
    """`root` is the node's cgroupRoot (`/` or `/dev-n1`); everything stands below `<root>/kubepods`."""

    def __init__(self, root: str, *, pids_limit: int = 0, enforce_cpu_quota: bool = True, mount: Path = MOUNT) -> None:
        self._root = root
        self._pids_limit = pids_limit
        self._enforce_cpu_quota = enforce_cpu_quota
        self._mount = mount
        self.unified = (mount / "cgroup.controllers").exists()
        self._tops = [mount] if self.unified else sorted(_v1_hierarchies(mount))

    def ensure_roots(self, values: Values | None = None) -> None:
        """Make kubepods (with the node's allocatable, if given) and the folders of the QoS classes."""
        for class_ in (qos.GUARANTEED, qos.BURSTABLE, qos.BEST_EFFORT):
            self._make(cgroups.qos_parent(self._root, class_))
        self._set(cgroups.qos_parent(self._root, qos.BEST_EFFORT), Values(cpu_shares=2))
        if values is not None:
            self._set(cgroups.qos_parent(self._root, qos.GUARANTEED), values)

    def parent(self, pod: Pod) -> str:
        """The Pod's cgroup, as the runtime is told (cgroup_parent)."""
        return cgroups.pod_path(self._root, pod)

    def create_pod(self, pod: Pod) -> str:
        """Make the Pod's cgroup with its values, or bring those up to date; its path. OSError says which file."""
        path = self.parent(pod)
        self._make(path)
        self.update_pod(pod)
        return path

    def update_pod(self, pod: Pod, *, memory: bool = True) -> None:
        """Set the values the Pod asks for now, that of memory only if told so. OSError says which file."""
        values = cgroups.of_pod(pod, pids_limit=self._pids_limit, enforce_cpu_quota=self._enforce_cpu_quota)
        self._set(self.parent(pod), values if memory else dataclasses.replace(values, memory_limit=0))

    def weigh_burstable(self, pods: Iterable[Pod]) -> None:
        """Give the class of Burstable Pods the weight of all their requests together."""
        self._set(cgroups.qos_parent(self._root, qos.BURSTABLE), cgroups.of_burstable(pods))

    async def remove_pod(self, pod: Pod) -> None:
        """End what is left in the Pod's cgroup and remove it. OSError when it stays busy for five seconds."""
        await self.remove(self.parent(pod))

    async def remove(self, path: str) -> None:
        """As `remove_pod`, for a cgroup by its path."""
        folders = [self._inside(top, path) for top in self._tops]
        for attempt in range(_ATTEMPTS):
            busy = [folder for folder in folders if not _remove_tree(folder)]
            if not busy:
                return
            if attempt % 10 == 0:
                for folder in busy:
                    _kill_all(folder)
            # The kernel frees a cgroup a little after its last process ended, and tells nobody.
            await asyncio.sleep(_PAUSE)
        raise OSError(f"cgroup {path} stays busy: {[str(folder) for folder in busy]}")

    def pods(self) -> dict[Uid, str]:
        """The Pods that have a cgroup, and its path."""
        found: dict[Uid, str] = {}
        for class_ in (qos.GUARANTEED, qos.BURSTABLE, qos.BEST_EFFORT):
            parent = cgroups.qos_parent(self._root, class_)
            for top in self._tops:
                with contextlib.suppress(FileNotFoundError):
                    for entry in os.scandir(self._inside(top, parent)):
                        if entry.is_dir() and entry.name.startswith("pod"):
                            found[Uid(entry.name.removeprefix("pod"))] = f"{parent}/{entry.name}"
        return found

    def folder(self, path: str, controller: str) -> Path:
        """Where a cgroup's files of one controller are."""
        return self._inside(self._mount if self.unified else self._mount / controller, path)

    def _inside(self, top: Path, path: str) -> Path:
        return top / path.lstrip("/")

    def _make(self, path: str) -> None:
        for top in self._tops:
            at = top
            for step in path.strip("/").split("/"):
                parent, at = at, at / step
                if at.is_dir():
                    continue
                if self.unified:
                    _delegate(parent)
                at.mkdir(exist_ok=True)
                if not self.unified:
                    _copy_cpuset(parent, at)

    def _set(self, path: str, values: Values) -> None:
        for controller, file, text in _unified(values) if self.unified else _legacy(values):
            target = self.folder(path, controller) / file
            try:
                target.write_text(text)
            except FileNotFoundError:
                log.debug("%s is not there: this kernel has no such limit", target)


def _legacy(values: Values) -> Iterable[tuple[str, str, str]]:
    """Controller, file and text, on cgroup v1."""
    if values.cpu_shares:
        yield "cpu", "cpu.shares", str(values.cpu_shares)
    yield "cpu", "cpu.cfs_period_us", str(cgroups.PERIOD_US)
    yield "cpu", "cpu.cfs_quota_us", str(values.cpu_quota_us or -1)
    if values.memory_limit:
        yield "memory", "memory.limit_in_bytes", str(values.memory_limit)
    if values.pids_limit:
        yield "pids", "pids.max", str(values.pids_limit)
    for page in values.hugepages:
        yield "hugetlb", f"hugetlb.{page.page_size}.limit_in_bytes", str(page.limit)


def _unified(values: Values) -> Iterable[tuple[str, str, str]]:
    """The same on cgroup v2; there is one tree, so the controller is no folder."""
    if values.cpu_shares:
        yield "", "cpu.weight", str(cgroups.weight(values.cpu_shares))
    yield "", "cpu.max", f"{values.cpu_quota_us or 'max'} {cgroups.PERIOD_US}"
    if values.memory_limit:
        yield "", "memory.max", str(values.memory_limit)
    if values.pids_limit:
        yield "", "pids.max", str(values.pids_limit)
    for page in values.hugepages:
        yield "", f"hugetlb.{page.page_size}.max", str(page.limit)


def _v1_hierarchies(mount: Path) -> set[Path]:
    """One folder a hierarchy: cpu and cpuacct are often the same one under two names."""
    found = set()
    for entry in mount.iterdir():
        real = entry.resolve()
        if real.is_dir() and (real / "cgroup.procs").exists() and not (real / "cgroup.controllers").exists():
            found.add(real)
    return found


def _copy_cpuset(parent: Path, child: Path) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (child / name).exists() and not (child / name).read_text().strip():
            (child / name).write_text((parent / name).read_text())


def _delegate(parent: Path) -> None:
    """Hand every controller this cgroup has to its children."""
    have = (parent / "cgroup.controllers").read_text().split()
    given = (parent / "cgroup.subtree_control").read_text().split()
    for name in have:
        if name not in given:
            with contextlib.suppress(OSError):  # some kernels refuse single ones, such as cpu with real-time processes
                (parent / "cgroup.subtree_control").write_text(f"+{name}")


def _remove_tree(folder: Path) -> bool:
    """Remove a cgroup and those below it; False if one is busy."""
    for base, folders, _ in os.walk(folder, topdown=False):
        for path in (*(os.path.join(base, name) for name in folders), base):
            try:
                os.rmdir(path)
            except FileNotFoundError:
                continue
            except OSError:
                return False
    return True


def _kill_all(folder: Path) -> None:
    for base, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            for pid in Path(base, "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
