"""Choose which Pods have to go so that a critical one fits. No I/O. Source: K/pkg/kubelet/preemption."""

from collections.abc import Iterable, Mapping

from pykubelet.decide import critical, qos, resources
from pykubelet.decide.admission import Shortage
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Ending, EndingCause

REASON = "Preempting"
MESSAGE = "Preempted in order to admit critical pod"
DISRUPTION = "Pod was preempted by Kubelet to accommodate a critical pod."
"""What the condition DisruptionTarget says of it."""

_Needs = Mapping[str, int]
"""What is still missing by resource: thousandths of a core, else whole units."""


def victims(newcomer: Pod, pods: Iterable[Pod], shortages: Iterable[Shortage]) -> tuple[Pod, ...] | None:
    """As few and as unimportant Pods as free what is missing; None if all together would not be enough.

    BestEffort Pods go before Burstable and Guaranteed ones; a Pod of a better class goes only where those do not do.
    """
    needs = {shortage.resource: shortage.missing for shortage in shortages}
    yielding = [pod for pod in pods if critical.makes_room_for(pod, newcomer)]
    by_class = {
        class_: [pod for pod in yielding if qos.of(pod) == class_]
        for class_ in (qos.BEST_EFFORT, qos.BURSTABLE, qos.GUARANTEED)
    }
    best_effort, burstable, guaranteed = by_class.values()
    if _without(needs, yielding):
        return None
    from_guaranteed = _fewest(guaranteed, _without(needs, [*best_effort, *burstable]))
    from_burstable = _fewest(burstable, _without(needs, [*best_effort, *from_guaranteed]))
    from_best_effort = _fewest(best_effort, _without(needs, [*from_burstable, *from_guaranteed]))
    return (*from_best_effort, *from_burstable, *from_guaranteed)


def ending(pod: Pod, *, now: float) -> Ending:
    """The ending of such a Pod."""
    grace = pod.spec.termination_grace_period_seconds
    return Ending(EndingCause.PREEMPTED, grace, now + grace, REASON, MESSAGE)


def _fewest(pods: list[Pod], needs: _Needs) -> list[Pod]:
    chosen: list[Pod] = []
    left = list(pods)
    while needs and left:
        best = min(left, key=lambda pod: (_distance(pod, needs), _size(pod)))
        left.remove(best)
        chosen.append(best)
        needs = _without(needs, [best])
    return chosen


def _distance(pod: Pod, needs: _Needs) -> float:
    """How much would still be missing, each resource weighted alike."""
    missing = ((needed, max(0, needed - _requests(pod, name))) for name, needed in needs.items())
    return sum(((rest / needed) ** 2 for needed, rest in missing), 0.0)


def _without(needs: _Needs, pods: Iterable[Pod]) -> dict[str, int]:
    gone = list(pods)
    rest = {name: needed - sum(_requests(pod, name) for pod in gone) for name, needed in needs.items()}
    return {name: missing for name, missing in rest.items() if missing > 0}


def _requests(pod: Pod, name: str) -> int:
    if name == "pods":
        return 1
    amount = resources.pod_requests(pod).get(name, resources.ZERO)
    return amount.milli if name == resources.CPU else amount.value


def _size(pod: Pod) -> tuple[int, int]:
    return _requests(pod, resources.MEMORY), _requests(pod, resources.CPU)
