"""Ends Pods when the node runs short of memory, disk or process ids, one at a time, and says so.

Source: synchronize in K/pkg/kubelet/eviction/eviction_manager.go. Which Pod goes is decided in decide.eviction.
"""

import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from nodekit.aio.clock import Clock
from pykubelet import meters
from pykubelet.cri import errors as cri_errors
from pykubelet.decide import critical, eviction, pressure
from pykubelet.decide.pressure import Limit, Observation, Pressure
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Ending
from pykubelet.model.usage import PodUsage

PERIOD: Final = 10.0
_CLEAN_UP: Final = 30.0
"""Seconds that an evicted Pod is waited for before the next is chosen: what it held may be all that was missing."""

log = logging.getLogger(__name__)


class Pods(Protocol):
    """The Pods that may be ended (act.memories)."""

    def active(self) -> list[Pod]: ...

    def ends_at(self, uid: Uid) -> float | None: ...

    def end(self, uid: Uid, why: Ending) -> None: ...

    def is_over(self, uid: Uid) -> bool: ...


class Tell(Protocol):
    """Who is told (report.events)."""

    def event(self, pod: Pod, type_: str, reason: str, message: str, *, container: str = "") -> None: ...

    def of_node(self, type_: str, reason: str, message: str) -> None: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says: `transition` and `longest_grace` in seconds."""

    limits: tuple[Limit, ...]
    transition: float
    longest_grace: int
    local_storage: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Eyes:
    """How the node is looked at: what is left, what each Pod uses; `reclaim` frees disk without ending Pods.

    `disks_apart`: whether images and writable layers have a disk of their own.
    """

    left: Callable[[], Awaitable[Mapping[str, Observation]]]
    usage: Callable[[], Awaitable[Mapping[Uid, PodUsage]]]
    reclaim: Callable[[], Awaitable[int]]
    disks_apart: Callable[[], Awaitable[bool]]


class Evictions:
    """Run it as a task. `changed` is called when the node's conditions are others than before."""

    def __init__(self, rules: Rules, eyes: Eyes, pods: Pods, *, tell: Tell, clock: Clock) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._rules = rules
        self._eyes = eyes
        self._pods = pods
        self._tell = tell
        self._clock = clock
        self._pressure = Pressure()

    @property
    def conditions(self) -> frozenset[str]:
        """MemoryPressure, DiskPressure, PIDPressure: those the node is under."""
        return self._pressure.conditions

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            evicted: list[Uid] = []
            try:
                evicted = await self.look()
            except (cri_errors.CriError, OSError) as error:
                log.warning("how the node is doing is not known: %s", error)
            if evicted:
                await self._gone(evicted)
            else:
                await self._clock.sleep(PERIOD)

    async def look(self) -> list[Uid]:
        """Look once, and end whom must be ended; who that was. Raises CriError, OSError."""
        now = self._clock.now().timestamp()
        seen = await self._eyes.left()
        before = self._pressure
        self._pressure = pressure.of(before, seen, self._rules.limits, now=now, transition=self._rules.transition)
        if self._pressure.conditions != before.conditions:
            log.info("the node is under pressure: %s", ", ".join(sorted(self._pressure.conditions)) or "none any more")
            self.changed()
        if self._rules.local_storage and (found := await self._too_greedy(now)):
            return found
        return await self._relieve(self._pressure.due[0], now) if self._pressure.due else []

    async def _too_greedy(self, now: float) -> list[Uid]:
        """End the Pods that use more of the disk than they are allowed, whether or not there is enough."""
        limited = [
            pod
            for pod in self._pods.active()
            if eviction.limits_local_storage(pod) and self._would_end_sooner(pod, now + eviction.HARD_GRACE)
        ]
        if not limited:
            return []
        usage = await self._eyes.usage()
        disks_apart = await self._eyes.disks_apart()
        found = []
        for pod in limited:
            known = usage.get(pod.uid)
            if known is None:
                continue
            excess = eviction.of_local_storage(pod, known, disks_apart=disks_apart, now=now)
            if excess is not None and not critical.is_critical(pod):
                signal, ending = excess
                self._end(pod, ending, signal=signal)
                found.append(pod.uid)
        return found

    async def _relieve(self, limit: Limit, now: float) -> list[Uid]:
        self._tell.of_node("Warning", "EvictionThresholdMet", f"Attempting to reclaim {limit.resource}")
        disks_apart = await self._eyes.disks_apart()
        if eviction.images_fill(limit.signal, disks_apart=disks_apart):
            await self._eyes.reclaim()
        # What was freed may be enough; the numbers must be of now in any case.
        began = self._clock.monotonic()
        seen = await self._eyes.left()
        if limit.signal not in seen or not limit.crossed(seen[limit.signal], with_reclaim=True):
            return []
        usage = await self._eyes.usage()
        longest_grace = self._rules.longest_grace
        candidates = [
            pod
            for pod in self._pods.active()
            if self._would_end_sooner(pod, now + eviction.grace_of(pod, limit, longest_grace=longest_grace))
        ]
        pod = eviction.victim(candidates, usage, limit.signal, disks_apart=disks_apart)
        if pod is None:
            log.warning("the node is short of %s, and no Pod can be ended for it", limit.resource)
            return []
        observed = seen[limit.signal]
        ending = eviction.of_limit(pod, limit, observed, usage.get(pod.uid), now=now, longest_grace=longest_grace)
        meters.eviction_stats_age.labels(limit.signal).observe(self._clock.monotonic() - began)
        self._end(pod, ending, signal=limit.signal)
        return [pod.uid]

    def _would_end_sooner(self, pod: Pod, at: float) -> bool:
        # Who is being deleted may be the one who uses it all, and may have hours to end.
        ends_at = self._pods.ends_at(pod.uid)
        return ends_at is None or ends_at > at

    def _end(self, pod: Pod, ending: Ending, *, signal: str) -> None:
        meters.evictions.labels(signal).inc()
        log.warning("pod %s is evicted: %s", pod.key, ending.message)
        self._tell.event(pod, "Warning", eviction.REASON, ending.message)
        self._pods.end(pod.uid, ending)

    async def _gone(self, evicted: list[Uid]) -> None:
        deadline = self._clock.monotonic() + _CLEAN_UP
        while self._clock.monotonic() < deadline and not all(self._pods.is_over(uid) for uid in evicted):
            await self._clock.sleep(1.0)


def limits(*, configured: tuple[Limit, ...], enforced: bool) -> tuple[Limit, ...]:
    """The limits, with the one that keeps Pods together within what they may have, if their cgroup is held to it."""
    of_memory = [one for one in configured if one.signal == "memory.available" and one.is_hard]
    more = [dataclasses.replace(one, signal="allocatableMemory.available") for one in of_memory] if enforced else []
    return (*configured, *more)
