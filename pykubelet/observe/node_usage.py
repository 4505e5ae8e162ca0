"""Measures what the machine as a whole uses: CPU, memory, network, processes."""

import time
from pathlib import Path
from typing import Final

from pykubelet.model import stats
from pykubelet.model.machine import Machine
from pykubelet.observe import cgroup_usage
from pykubelet.observe.cgroup_usage import CgroupUsage

_IGNORED: Final = ("lo", "veth", "docker", "nerdctl", "cali", "cni")
_DEFAULT: Final = "eth0"
_WINDOW: Final = 5.0
"""Seconds that a rate of CPU use is taken over, at least."""


class CpuRate:
    """Turns a counter of CPU nanoseconds into a rate, over at least five seconds."""

    def __init__(self) -> None:
        self._base: tuple[float, int] | None = None
        self._rate: int | None = None

    def of(self, at: float, used: int) -> int | None:
        """Nanocores of late; None until two samples are far enough apart."""
        if self._base is None:
            self._base = (at, used)
        elif at - self._base[0] >= _WINDOW:
            self._rate = max(0, int((used - self._base[1]) / (at - self._base[0])))
            self._base = (at, used)
        return self._rate


def cpu(usage: CgroupUsage, rate: CpuRate, path: str = "/") -> stats.Cpu:
    """A cgroup's CPU."""
    return stats.Cpu(
        at=usage.at,
        core_nanoseconds=usage.cpu,
        nanocores=rate.of(usage.at, usage.cpu),
        psi=cgroup_usage.pressure(path, "cpu"),
    )


def io(usage: CgroupUsage, path: str = "/") -> stats.Io | None:
    """How long a cgroup's processes waited for disks; None where that is not measured."""
    psi = cgroup_usage.pressure(path, "io")
    return stats.Io(at=usage.at, psi=psi) if psi is not None else None


def memory(usage: CgroupUsage, path: str = "/", *, capacity: int | None) -> stats.Memory:
    """A cgroup's memory; `capacity` is what it may use at most."""
    return stats.Memory(
        at=usage.at,
        working_set=usage.working_set,
        available=max(0, capacity - usage.working_set) if capacity is not None else None,
        usage=usage.memory,
        rss=usage.rss,
        page_faults=usage.page_faults,
        major_page_faults=usage.major_page_faults,
        psi=cgroup_usage.pressure(path, "memory"),
    )


def swap(usage: CgroupUsage) -> stats.Swap:
    """A cgroup's swap."""
    left = max(0, usage.swap_limit - usage.swap) if usage.swap_limit is not None else None
    return stats.Swap(at=usage.at, available=left, usage=usage.swap)


def machine_memory(machine: Machine) -> tuple[CgroupUsage, int]:
    """What the whole machine uses, and how much it could: huge pages are set aside."""
    return cgroup_usage.read("/"), machine.memory - sum(machine.huge_pages.values())


def network(root: Path = Path("/")) -> stats.Network:
    """The interfaces that lead elsewhere, as this network namespace has them."""
    interfaces = []
    for line in (root / "proc/self/net/dev").read_text().splitlines()[2:]:
        name, _, rest = line.partition(":")
        name, numbers = name.strip(), [int(number) for number in rest.split()]
        if not name.startswith(_IGNORED):
            interfaces.append(stats.Interface(name, numbers[0], numbers[2], numbers[8], numbers[10]))
    default = next((one for one in interfaces if one.name == _DEFAULT), None)
    return stats.Network(time.time(), default, tuple(interfaces))


def processes(root: Path = Path("/")) -> int:
    """How many processes and threads there are."""
    return int((root / "proc/loadavg").read_text().split()[3].partition("/")[2])
