"""Makes, weighs and removes the cgroups of QoS classes and Pods, by itself or through systemd.

Source: pkg/kubelet/cm (pod_container_manager_linux.go, qos_container_manager_linux.go).
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from pykubelet import meters
from pykubelet.act.cgroup_files import CgroupFiles
from pykubelet.decide import cgroups, qos
from pykubelet.decide.cgroups import Values
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod

_CLASSES = (qos.GUARANTEED, qos.BURSTABLE, qos.BEST_EFFORT)


class Slices(Protocol):
    """systemd's slices (act.systemd_slices): it writes cgroups it knows anew, so it must know their values."""

    async def set(self, name: str, values: Values) -> None: ...

    async def stop(self, name: str) -> None: ...


class Cgroups:
    """`root` is the node's cgroupRoot (`/` or `/dev-n1`); everything stands below `<root>/kubepods`.

    With `slices` (the systemd driver) each cgroup is a slice: `/kubepods.slice/kubepods-burstable.slice/...`.
    `running()` are the Pods that ran before us. `page_sizes`: the huge pages of the machine, in bytes.
    """

    def __init__(
        self,
        root: str,
        *,
        files: CgroupFiles,
        slices: Slices | None = None,
        running: Callable[[], Iterable[Pod]] = tuple,
        pids_limit: int = 0,
        enforce_cpu_quota: bool = True,
        page_sizes: Collection[int] = (),
    ) -> None:
        self._root = root
        self._files = files
        self._slices = slices
        self._pids_limit = pids_limit
        self._enforce_cpu_quota = enforce_cpu_quota
        self._page_sizes = page_sizes
        self._running = running
        self._burstable: dict[Uid, int] | None = None
        self.unified = files.unified

    @property
    def of_all_pods(self) -> str:
        """The cgroup that all Pods stand below."""
        return self._named(cgroups.qos_parent(self._root, qos.GUARANTEED))

    async def ensure_roots(self, values: Values | None = None) -> None:
        """Make kubepods (with the node's allocatable, if given) and the cgroups of the QoS classes."""
        for class_ in _CLASSES:
            await self._have(cgroups.qos_parent(self._root, class_), Values(cpu_shares=0))
        await self._have(cgroups.qos_parent(self._root, qos.BEST_EFFORT), Values(cpu_shares=2))
        if values is not None:
            await self._have(cgroups.qos_parent(self._root, qos.GUARANTEED), values)

    def parent(self, pod: Pod) -> str:
        """The Pod's cgroup, as the runtime is told (cgroup_parent)."""
        return self._named(cgroups.pod_path(self._root, pod))

    async def create_pod(self, pod: Pod) -> str:
        """Make the Pod's cgroup with its values, or bring those up to date; its path. OSError says which file."""
        with meters.cgroup_manager.labels("create").time():
            await self._update(pod, memory=True)
        return self.parent(pod)

    async def update_pod(self, pod: Pod, *, memory: bool = True) -> None:
        """Set the values the Pod asks for now, that of memory only if told so. OSError says which file."""
        with meters.cgroup_manager.labels("update").time():
            await self._update(pod, memory=memory)

    async def _update(self, pod: Pod, *, memory: bool) -> None:
        values = cgroups.of_pod(
            pod, pids_limit=self._pids_limit, enforce_cpu_quota=self._enforce_cpu_quota, page_sizes=self._page_sizes
        )
        values = values if memory else dataclasses.replace(values, memory_limit=0)
        await self._have(cgroups.pod_path(self._root, pod), values)
        await self.weigh((pod,))

    async def weigh(self, pods: Iterable[Pod]) -> None:
        """Give the class of Burstable Pods the weight of all their requests together, these Pods included."""
        before = self._burstable
        # Until the first change the class keeps the weight that whoever was here before us gave it.
        others = self._running() if before is None else ()
        asked = {pod.uid: cgroups.requested_cpu(pod) for pod in (*others, *pods) if qos.of(pod) == qos.BURSTABLE}
        self._burstable = {**(before or {}), **asked}
        if self._burstable != before:
            await self._weigh()

    async def remove_pod(self, pod: Pod) -> None:
        """End what is left in the Pod's cgroup and remove it. OSError when it stays busy for five seconds."""
        await self.remove(self.parent(pod))
        if self._burstable is not None and self._burstable.pop(pod.uid, None) is not None:
            await self._weigh()

    async def remove(self, path: str) -> None:
        """As `remove_pod`, for a cgroup by the path that `pods` gives."""
        with meters.cgroup_manager.labels("destroy").time():
            if self._slices is not None:
                await self._slices.stop(path.rsplit("/", 1)[-1])
            await self._files.remove(path)

    def pods(self) -> dict[Uid, str]:
        """The Pods that have a cgroup, and its path."""
        found: dict[Uid, str] = {}
        for class_ in _CLASSES:
            parent = self._named(cgroups.qos_parent(self._root, class_))
            for name in self._files.below(parent):
                uid = cgroups.uid_of(name)
                if uid is not None:
                    found[Uid(uid)] = f"{parent}/{name}"
        return found

    async def _weigh(self) -> None:
        path = cgroups.qos_parent(self._root, qos.BURSTABLE)
        await self._have(path, Values(cpu_shares=cgroups.shares(sum((self._burstable or {}).values()))))

    async def _have(self, path: str, values: Values) -> None:
        named = self._named(path)
        if self._slices is not None:
            await self._slices.set(named.rsplit("/", 1)[-1], values)
        # On cgroup v1 systemd leaves out the controllers it does not use itself.
        self._files.make(named)
        self._files.set(named, values)

    def _named(self, path: str) -> str:
        return cgroups.as_slice(path) if self._slices is not None else path
