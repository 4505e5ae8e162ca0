"""Gathers what the node and its Pods use, when somebody asks: /stats/summary, metrics, evictions."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nodekit.aio import threads
from nodekit.aio.clock import Clock
from pykubelet.cri import runtime_api
from pykubelet.decide import summary as decided
from pykubelet.model import observed, stats
from pykubelet.model import summary as told
from pykubelet.model.ids import Uid
from pykubelet.model.machine import Filesystem, Machine
from pykubelet.model.usage import MountedVolume, PodUsage
from pykubelet.observe import cgroup_usage, disk_usage, machine, node_usage

_FRESH: Final = 1.0
"""Seconds for which one answer serves all who ask."""
_FILES_FRESH: Final = 60.0
"""Seconds for which the size of files is believed: finding it out walks through every folder."""
_PATIENCE: Final = 1.0
"""Seconds that a mounted volume may take: decisions about eviction wait for the answer too."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are: the kubelet's folder, the logs' folder, the cgroup of all Pods, and that of each."""

    node_name: str
    root: Path
    logs: Path
    pods_cgroup: str
    cgroups: Callable[[], Mapping[Uid, str]] = dict


class Usage:
    """`seen` gives the runtime's view of a Pod, for when things started."""

    def __init__(
        self,
        runtime: runtime_api.UsageCalls,
        images: runtime_api.ImageService,
        *,
        machine: Machine,
        place: Place,
        seen: Callable[[Uid], observed.PodRuntime | None],
        clock: Clock,
    ) -> None:
        self._runtime = runtime
        self._images = images
        self._machine = machine
        self._place = place
        self._seen = seen
        self._clock = clock
        self._node_rate, self._pods_rate = node_usage.CpuRate(), node_usage.CpuRate()
        self._files: dict[Uid, tuple[float, decided.Files]] = {}
        self._last: tuple[float, told.Summary] | None = None
        self._asking = asyncio.Lock()
        self._unanswered: set[str] = set()
        self.mounted: Callable[[Uid], tuple[MountedVolume, ...]] = lambda uid: ()
        """The volumes of a Pod that are filesystems of their own."""
        self.ask_driver: Callable[[MountedVolume], Awaitable[Filesystem | None]] = _nobody
        """Asks a storage driver how full a volume is; None if it does not tell."""
        self.identities = stats.Identities()
        """Of what was in the last answer."""

    async def summary(self) -> told.Summary:
        """All of it, at most a second old. Raises CriError, OSError."""
        async with self._asking:
            now = self._clock.monotonic()
            if self._last is None or now - self._last[0] > _FRESH:
                self._last = (now, await self._gather())
            return self._last[1]

    async def by_pod(self) -> dict[Uid, PodUsage]:
        """What each Pod uses, as decisions about eviction need it. Raises CriError, OSError."""
        found = await self.summary()
        return {Uid(pod.pod_ref.uid): decided.usage(pod) for pod in found.pods}

    async def disks(self) -> tuple[decided.Disks, observed.FilesystemUsage | None]:
        """The filesystems, and what images take. Raises CriError, OSError."""
        found = await self._images.filesystems()
        image_use = found.images[0] if found.images else None
        node = await asyncio.to_thread(machine.filesystem, self._place.root)
        if image_use is not None:
            try:
                return await asyncio.to_thread(self._with_images, node, image_use.mountpoint), image_use
            except OSError as error:
                log.debug("%s: %s", image_use.mountpoint, error)
        return decided.Disks(node, node), image_use

    async def disks_apart(self) -> bool:
        """Whether images and writable layers have a disk of their own. Raises CriError, OSError."""
        disks, _ = await self.disks()
        return disks.apart

    def _with_images(self, node: Filesystem, images: str) -> decided.Disks:
        apart = not machine.same_disk(self._place.root, images)
        return decided.Disks(node, machine.filesystem(images), apart)

    async def _gather(self) -> told.Summary:
        measured, (disks, image_use) = await asyncio.gather(self._runtime.list_sandbox_stats(), self.disks())
        running = await asyncio.to_thread(self._with_swap, [one for one in measured if one.uid])
        await self._measure_files(running)
        now = self._clock.now()
        pods = tuple(
            decided.of_pod(one, self._seen(one.uid), self._files[one.uid][1], disks, now=now) for one in running
        )
        return told.Summary(node=self._node(disks, image_use), pods=pods)

    def _with_swap(self, running: list[stats.SandboxStats]) -> list[stats.SandboxStats]:
        """The same, with what the runtime does not tell of swap read off the cgroups."""
        pods = self._place.cgroups()
        cgroups: dict[str, str] = {**cgroup_usage.below(pods), **{str(uid): path for uid, path in pods.items()}}
        quotas = ((id_, cgroup_usage.cpu_quota(path)) for id_, path in cgroups.items())
        self.identities = stats.Identities(
            cgroups,
            {(one.uid, c.name): c.id for one in running for c in one.containers},
            {id_: quota for id_, quota in quotas if quota is not None},
        )
        return [
            dataclasses.replace(
                one,
                swap=_without_limit(_swap(pods.get(one.uid))),
                containers=tuple(
                    dataclasses.replace(c, swap=c.swap or _swap(cgroups.get(c.id))) for c in one.containers
                ),
            )
            for one in running
        ]

    async def prime(self) -> None:
        """Take the first samples of rates, so that the first answer has some."""
        with contextlib.suppress(OSError):
            usage, _ = node_usage.machine_memory(self._machine)
            self._node_rate.of(usage.at, usage.cpu)
            pods = cgroup_usage.read(self._place.pods_cgroup)
            self._pods_rate.of(pods.at, pods.cpu)

    async def _measure_files(self, running: list[stats.SandboxStats]) -> None:
        now = self._clock.monotonic()
        stale = [one for one in running if now - self._files.get(one.uid, (-_FILES_FRESH, None))[0] >= _FILES_FRESH]
        sizes = await asyncio.to_thread(lambda: [self._of_files(one) for one in stale]) if stale else []
        mounts = await asyncio.gather(*(self._of_mounts(one.uid) for one in stale))
        sizes = [
            dataclasses.replace(size, volumes={**size.volumes, **more})
            for size, more in zip(sizes, mounts, strict=True)
        ]
        kept = {one.uid: self._files[one.uid] for one in running if one.uid in self._files}
        self._files = {**kept, **{one.uid: (now, size) for one, size in zip(stale, sizes, strict=True)}}

    def _of_files(self, one: stats.SandboxStats) -> decided.Files:
        logs = self._place.logs / f"{one.namespace}_{one.name}_{one.uid}"
        return disk_usage.of_pod(one.uid, root=self._place.root, logs=logs, mounted=self.mounted(one.uid))

    async def _of_mounts(self, uid: Uid) -> dict[str, decided.VolumeSize]:
        volumes = self.mounted(uid)
        disks = await asyncio.gather(*(self._of_mount(one) for one in volumes))
        found = zip(volumes, disks, strict=True)
        return {one.name: disk_usage.of_mount(one, disk) for one, disk in found if disk is not None}

    async def _of_mount(self, volume: MountedVolume) -> Filesystem | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                if volume.driver:
                    return await self.ask_driver(volume)
                return await self._of_mounted(volume)
        except TimeoutError:
            log.warning("how full the volume at %s is was not told in time", volume.folder)
            return None

    async def _of_mounted(self, volume: MountedVolume) -> Filesystem | None:
        # A thread that asks a server which is away stays until that is back: one a volume must do.
        if volume.folder in self._unanswered:
            return None
        asking = threads.start(functools.partial(disk_usage.of_mounted, volume))
        self._unanswered.add(volume.folder)
        asking.add_done_callback(lambda _: self._unanswered.discard(volume.folder))
        return await asyncio.shield(asking)

    def _node(self, disks: decided.Disks, image_use: observed.FilesystemUsage | None) -> told.NodeStats:
        usage, capacity = node_usage.machine_memory(self._machine)
        now, at = self._clock.now(), decided.exact(usage.at)
        image_fs = None
        if image_use is not None:
            used, inodes = image_use.used_bytes, image_use.inodes_used
            image_fs = decided.filesystem(disks.images, now=decided.exact(image_use.at), used=used, inodes=inodes)
        swap = told.SwapStats(
            time=at, swap_available_bytes=max(0, self._machine.swap - usage.swap), swap_usage_bytes=usage.swap
        )
        return told.NodeStats(
            node_name=self._place.node_name,
            start_time=decided.exact(self._machine.booted_at),
            system_containers=self._pods(),
            cpu=decided.cpu(node_usage.cpu(usage, self._node_rate)),
            memory=decided.memory(node_usage.memory(usage, capacity=capacity)),
            io=decided.io(node_usage.io(usage)),
            network=decided.network(node_usage.network()),
            fs=_whole(disks.node, now),
            runtime=told.RuntimeStats(image_fs=image_fs, container_fs=image_fs),
            rlimit=told.RlimitStats(time=now, maxpid=machine.max_pids(), curproc=node_usage.processes()),
            swap=swap,
        )

    def _pods(self) -> tuple[told.ContainerStats, ...]:
        """All Pods together, as the one "system container" that has a cgroup of ours."""
        path = self._place.pods_cgroup
        try:
            usage = cgroup_usage.read(path)
        except OSError as error:
            log.debug("%s: %s", path, error)
            return ()
        limit = usage.memory_limit if usage.memory_limit is not None else self._machine.memory
        return (
            told.ContainerStats(
                name="pods",
                start_time=decided.exact(self._machine.booted_at),
                cpu=decided.cpu(node_usage.cpu(usage, self._pods_rate, path)),
                memory=decided.memory(node_usage.memory(usage, path, capacity=limit)),
                io=decided.io(node_usage.io(usage, path)),
                swap=told.SwapStats(time=decided.exact(usage.at), swap_usage_bytes=usage.swap),
            ),
        )


async def _nobody(volume: MountedVolume) -> Filesystem | None:
    return None


def _swap(cgroup: str | None) -> stats.Swap | None:
    try:
        return node_usage.swap(cgroup_usage.read(cgroup)) if cgroup is not None else None
    except (OSError, ValueError):
        return None  # it has just ended


def _without_limit(found: stats.Swap | None) -> stats.Swap | None:
    """A Pod's: what it may use is said of its containers."""
    return dataclasses.replace(found, available=None) if found is not None else None


def _whole(disk: Filesystem, now: dt.datetime) -> told.FsStats:
    return decided.filesystem(disk, now=now, used=disk.used, inodes=disk.inodes - disk.inodes_free)
