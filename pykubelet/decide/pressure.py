"""Decide from what is left of memory, disk and process ids whether the node is under pressure. No I/O.

Source: kubelet.config.k8s.io evictionHard, evictionSoft and their companions; K/pkg/kubelet/eviction.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Final

from nodekit.objects.node import Taint
from nodekit.objects.quantity import Form, Quantity
from pykubelet.config import parts
from pykubelet.decide import critical, qos, tolerations
from pykubelet.decide.admission import Rejected
from pykubelet.model.pod import Pod

MEMORY_PRESSURE, DISK_PRESSURE, PID_PRESSURE = "MemoryPressure", "DiskPressure", "PIDPressure"
MEMORY, DISK, INODES, PIDS = "memory", "ephemeral-storage", "inodes", "pids"

_RESOURCES: Final = {
    "memory.available": MEMORY,
    "allocatableMemory.available": MEMORY,
    "nodefs.available": DISK,
    "nodefs.inodesFree": INODES,
    "imagefs.available": DISK,
    "imagefs.inodesFree": INODES,
    "containerfs.available": DISK,
    "containerfs.inodesFree": INODES,
    "pid.available": PIDS,
}
_CONDITIONS: Final = {
    MEMORY: MEMORY_PRESSURE,
    DISK: DISK_PRESSURE,
    INODES: DISK_PRESSURE,
    PIDS: PID_PRESSURE,
}


def resource(signal: str) -> str:
    """What a signal tells of: MEMORY, DISK, INODES or PIDS."""
    return _RESOURCES[signal]


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """How much is left of how much: bytes, inodes or process ids."""

    available: int
    capacity: int


@dataclasses.dataclass(frozen=True, slots=True)
class Limit:
    """Pods are evicted when a signal has been below `least` for `grace` seconds (0: a hard limit).

    Eviction goes on until `reclaim` more than that is available.
    """

    signal: str
    least: parts.Threshold
    grace: float = 0.0
    reclaim: parts.Threshold | None = None

    @property
    def resource(self) -> str:
        return resource(self.signal)

    @property
    def is_hard(self) -> bool:
        return self.grace == 0

    def quantity(self, capacity: int) -> Quantity:
        """The limit as an amount."""
        return _quantity(self.least, self, capacity)

    def crossed(self, seen: Observation, *, with_reclaim: bool) -> bool:
        """Whether less than this is available."""
        least = self.quantity(seen.capacity).value
        if with_reclaim and self.reclaim is not None:
            least += _quantity(self.reclaim, self, seen.capacity).value
        return seen.available < least


@dataclasses.dataclass(frozen=True, slots=True)
class Pressure:
    """How the node has been doing. `conditions` are what its status reports, `due` are the limits to act on now,
    the most urgent first; the rest is remembered for the next look."""

    conditions: frozenset[str] = frozenset()
    due: tuple[Limit, ...] = ()
    since: Mapping[Limit, float] = dataclasses.field(default_factory=dict)
    last_seen: Mapping[str, float] = dataclasses.field(default_factory=dict)


def limits(
    *,
    hard: Mapping[str, parts.Threshold],
    soft: Mapping[str, parts.Threshold],
    graces: Mapping[str, float],
    reclaim: Mapping[str, parts.Threshold],
) -> tuple[Limit, ...]:
    """The limits of a configuration; those of 0% and 100% are off."""
    found = [Limit(signal, least, 0.0, reclaim.get(signal)) for signal, least in hard.items() if not least.off]
    found += [
        Limit(signal, least, graces.get(signal, 0.0), reclaim.get(signal))
        for signal, least in soft.items()
        if not least.off
    ]
    return tuple(found)


def of(
    previous: Pressure,
    seen: Mapping[str, Observation],
    configured: Iterable[Limit],
    *,
    now: float,
    transition: float,
) -> Pressure:
    """The pressure now. A condition stays for `transition` seconds after it was last seen."""
    crossed = [one for one in configured if one.signal in seen and one.crossed(seen[one.signal], with_reclaim=False)]
    crossed += [
        one
        for one in previous.due
        if one not in crossed and one.signal in seen and one.crossed(seen[one.signal], with_reclaim=True)
    ]
    since = {one: previous.since.get(one, now) for one in crossed}
    last_seen = {**previous.last_seen, **{_CONDITIONS[one.resource]: now for one in crossed}}
    due = [one for one in crossed if now - since[one] >= one.grace]
    # Memory first: what lacks it is killed by the kernel, and the kernel knows no priorities.
    due.sort(key=lambda one: one.resource != MEMORY)
    return Pressure(
        frozenset(condition for condition, at in last_seen.items() if at == now or now - at < transition),
        tuple(due),
        since,
        last_seen,
    )


def refuses(pod: Pod, conditions: frozenset[str]) -> Rejected | None:
    """Why a new Pod may not come while the node is under this pressure."""
    if not conditions or critical.is_critical(pod):
        return None
    if conditions == {MEMORY_PRESSURE}:
        taint = Taint(key="node.kubernetes.io/memory-pressure", effect="NoSchedule")
        tolerated = tolerations.untolerated((taint,), pod.spec.tolerations, effect="NoSchedule") is None
        if qos.of(pod) != qos.BEST_EFFORT or tolerated:
            return None
    return Rejected("Evicted", f"The node had condition: [{' '.join(sorted(conditions))}]. ")


def _quantity(threshold: parts.Threshold, limit: Limit, capacity: int) -> Quantity:
    if threshold.amount is not None:
        return threshold.amount
    amount = int(capacity * (threshold.fraction or 0.0))
    return Quantity.of(amount, form=form(limit.resource))


def form(resource: str) -> Form:
    """How amounts of a resource are written: bytes with binary suffixes."""
    return Form.BINARY_SI if resource in (MEMORY, DISK) else Form.DECIMAL_SI
