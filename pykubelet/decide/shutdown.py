"""Choose in which order Pods end when the machine shuts down, and how long each may take. No I/O. Source: KEP-2712."""

import bisect
import dataclasses
from collections.abc import Iterable

from pykubelet.decide import critical
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Ending, EndingCause

REASON = "Terminated"
MESSAGE = "Pod was terminated in response to imminent node shutdown."


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """Pods from this priority on, up to the next step's, have so many seconds."""

    priority: int
    grace: int


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Pods that end together; the next group's turn comes when they are gone, at the latest after `grace` seconds."""

    grace: int
    pods: tuple[Pod, ...]


def steps(*, total: float, for_critical: float) -> tuple[Step, ...]:
    """The two steps of shutdownGracePeriod and shutdownGracePeriodCriticalPods (seconds), none if unset."""
    if total <= 0 or for_critical > total:
        return ()
    return (Step(0, int(total - for_critical)), Step(critical.SYSTEM_CRITICAL_PRIORITY, int(for_critical)))


def groups(pods: Iterable[Pod], by_priority: Iterable[Step]) -> tuple[Group, ...]:
    """The Pods in the order in which they end, the least important first; empty groups are left out."""
    ordered = sorted(by_priority, key=lambda step: step.priority)
    if not ordered:
        return ()
    members: list[list[Pod]] = [[] for _ in ordered]
    borders = [step.priority for step in ordered]
    for pod in pods:
        members[max(0, bisect.bisect_right(borders, pod.spec.priority) - 1)].append(pod)
    return tuple(Group(step.grace, tuple(some)) for step, some in zip(ordered, members, strict=True) if some)


def ending(pod: Pod, group: Group, *, now: float) -> Ending:
    """The ending of a Pod of a group; its own grace counts if it is shorter."""
    grace = min(group.grace, pod.spec.termination_grace_period_seconds)
    return Ending(EndingCause.NODE_SHUTDOWN, grace, now + grace, REASON, MESSAGE)
