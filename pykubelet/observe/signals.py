"""Reads how much is left of what a node runs out of: memory, disk, inodes, process ids.

Source: makeSignalObservations in K/pkg/kubelet/eviction/helpers.go. Costs some file reads and one call to the runtime.
"""

import asyncio
import logging

from pykubelet.cri import errors as cri_errors
from pykubelet.decide.pressure import Observation
from pykubelet.model.machine import Filesystem, Machine
from pykubelet.observe import cgroup_usage, machine, node_usage
from pykubelet.observe.usage import Usage

log = logging.getLogger(__name__)


class Signals:
    """`pods_cgroup` is the cgroup of all Pods. What cannot be read is left out: nobody is evicted for not knowing."""

    def __init__(self, usage: Usage, machine: Machine, *, pods_cgroup: str) -> None:
        self._usage = usage
        self._machine = machine
        self._pods_cgroup = pods_cgroup

    async def read(self) -> dict[str, Observation]:
        """The observations by signal."""
        found = await asyncio.to_thread(self._of_machine)
        try:
            disks, _ = await self._usage.disks()
        except (cri_errors.CriError, OSError) as error:
            log.warning("how full the disks are is not known: %s", error)
            return found
        for name, disk in (("nodefs", disks.node), ("imagefs", disks.images), ("containerfs", disks.images)):
            found |= _of_disk(name, disk)
        return found

    def _of_machine(self) -> dict[str, Observation]:
        found = {}
        usage, capacity = node_usage.machine_memory(self._machine)
        found["memory.available"] = Observation(max(0, capacity - usage.working_set), self._machine.memory)
        try:
            pods = cgroup_usage.read(self._pods_cgroup)
        except (OSError, ValueError) as error:
            log.debug("%s: %s", self._pods_cgroup, error)
        else:
            limit = min(pods.memory_limit or self._machine.memory, self._machine.memory)
            found["allocatableMemory.available"] = Observation(max(0, limit - pods.working_set), limit)
        if limit := machine.max_pids():
            found["pid.available"] = Observation(max(0, limit - node_usage.processes()), limit)
        return found


def _of_disk(name: str, disk: Filesystem) -> dict[str, Observation]:
    found = {f"{name}.available": Observation(disk.available, disk.capacity)}
    # Some filesystems make inodes as they need them, and say that they have none.
    if disk.inodes:
        found[f"{name}.inodesFree"] = Observation(disk.inodes_free, disk.inodes)
    return found
