"""A Pod's quality-of-service class and what hangs on it: OOM scores. No I/O.

Source: pkg/apis/core/v1/helper/qos, pkg/kubelet/qos/policy.go.
"""

from collections.abc import Iterable

from nodekit.objects.quantity import Quantity
from pykubelet.decide import resources
from pykubelet.model.container import Container, ResourceRequirements
from pykubelet.model.pod import Pod

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
_COUNTED = (resources.CPU, resources.MEMORY)
_NODE_CRITICAL = 2_000_001_000
_GUARANTEED_SCORE, _BEST_EFFORT_SCORE = -997, 1000


def of(pod: Pod) -> str:
    """Guaranteed: every container limits CPU and memory and requests as much. BestEffort: none asks for either."""
    if pod.spec.resources and (pod.spec.resources.requests or pod.spec.resources.limits):
        return _of_all([pod.spec.resources])
    return _of_all(container.resources for container in (*pod.spec.init_containers, *pod.spec.containers))


def _of_all(asked: Iterable[ResourceRequirements]) -> str:
    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}
    all_limited = True
    for one in asked:
        limited = set()
        for name, amount in resources.amounts(one.requests).items():
            if name in _COUNTED and amount:
                requests[name] = requests.get(name, resources.ZERO) + amount
        for name, amount in resources.amounts(one.limits).items():
            if name in _COUNTED and amount:
                limited.add(name)
                limits[name] = limits.get(name, resources.ZERO) + amount
                if name not in one.requests:
                    requests[name] = requests.get(name, resources.ZERO) + amount
        all_limited = all_limited and limited == set(_COUNTED)
    if not requests and not limits:
        return BEST_EFFORT
    return GUARANTEED if all_limited and requests == limits else BURSTABLE


def oom_score_adj(pod: Pod, container: Container, *, memory_capacity: int) -> int:
    """How ready the kernel shall be to kill it, -997 (last) to 1000 (first). `memory_capacity` in bytes."""
    if pod.spec.priority >= _NODE_CRITICAL:
        return _GUARANTEED_SCORE
    class_ = of(pod)
    if class_ == GUARANTEED:
        return _GUARANTEED_SCORE
    if class_ == BEST_EFFORT:
        return _BEST_EFFORT_SCORE
    spare = _spare_per_container(pod)
    score = 1000 - 1000 * (_memory(container) + spare) // memory_capacity
    if resources.is_sidecar(container) and pod.spec.containers:
        # A sidecar must not be killed before the containers it serves.
        least = min(_memory(regular) for regular in pod.spec.containers) + spare
        score = min(score, 1000 - 1000 * least // memory_capacity)
    if score < 1000 + _GUARANTEED_SCORE:
        return 1000 + _GUARANTEED_SCORE
    return score - 1 if score == _BEST_EFFORT_SCORE else score


def _memory(container: Container) -> int:
    asked = resources.amounts(container.resources.requests)
    limit = resources.amounts(container.resources.limits)
    return asked.get(resources.MEMORY, limit.get(resources.MEMORY, resources.ZERO)).value


def _spare_per_container(pod: Pod) -> int:
    """Memory requested for the Pod as a whole beyond its containers', shared out evenly among all of them; bytes.

    Source: remainingPodMemReqPerContainer in pkg/kubelet/qos/helpers.go.
    """
    if not pod.spec.resources or resources.MEMORY not in pod.spec.resources.requests:
        return 0
    whole = resources.amounts(pod.spec.resources.requests).get(resources.MEMORY, resources.ZERO).value
    taken = resources.containers_requests(pod).get(resources.MEMORY, resources.ZERO).value
    return max(0, whole - taken) // max(1, len(pod.spec.containers) + len(pod.spec.init_containers))
