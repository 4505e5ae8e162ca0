"""Requests and limits of containers and whole Pods. No I/O.

Source: k8s.io/component-helpers/resource (PodRequests, PodLimits), the API doc of PodSpec.resources.
"""

from collections.abc import Callable, Iterable, Mapping

from nodekit.objects import quantity
from nodekit.objects.quantity import Quantity
from pykubelet.model.container import Container, ResourceList
from pykubelet.model.pod import Pod

ZERO = Quantity.of(0)
CPU, MEMORY = "cpu", "memory"
HUGEPAGES = "hugepages-"
Amounts = Mapping[str, Quantity]


def amounts(resources: ResourceList) -> dict[str, Quantity]:
    """The quantities of a resource list; one that cannot be read counts as nothing, as the API let none such in."""
    found = {}
    for name, text in resources.items():
        try:
            found[name] = quantity.parse(text)
        except ValueError:
            continue
    return found


def is_sidecar(container: Container) -> bool:
    """Whether an init container is a restartable one, which runs beside the others."""
    return container.restart_policy == "Always"


def pod_requests(pod: Pod, *, overhead: bool = True) -> dict[str, Quantity]:
    """What the whole Pod asks for: sidecars and regular containers together, or the largest init step if that is more.

    Pod-level requests take the place of the containers' for the resources they name.
    """
    total = containers_requests(pod)
    if pod.spec.resources:
        level = amounts(pod.spec.resources.requests)
        total |= {name: value for name, value in level.items() if name in (CPU, MEMORY) or name.startswith(HUGEPAGES)}
    return _plus(total, amounts(pod.spec.overhead)) if overhead else total


def containers_requests(pod: Pod) -> dict[str, Quantity]:
    """The same of its containers alone, whatever is asked for the Pod."""
    return _sum_of(pod, lambda container: amounts(_requests(container)))


def pod_limits(pod: Pod, *, overhead: bool = True) -> dict[str, Quantity]:
    """The limits of the whole Pod, computed as its requests are."""
    total = _sum_of(pod, lambda container: amounts(container.resources.limits))
    if pod.spec.resources:
        total |= amounts(pod.spec.resources.limits)
    # Overhead raises a limit, but never makes one.
    more = amounts(pod.spec.overhead) if overhead else {}
    return {name: value + more.get(name, ZERO) for name, value in total.items()}


def _requests(container: Container) -> ResourceList:
    # The API server defaults a missing request to the limit; a static Pod has nobody to do that.
    return {**container.resources.limits, **container.resources.requests}


def _sum_of(pod: Pod, of: Callable[[Container], Amounts]) -> dict[str, Quantity]:
    running: dict[str, Quantity] = {}
    for container in pod.spec.containers:
        running = _plus(running, of(container))
    sidecars: dict[str, Quantity] = {}
    most: dict[str, Quantity] = {}
    for container in pod.spec.init_containers:
        if is_sidecar(container):
            sidecars = _plus(sidecars, of(container))
            most = _max(most, sidecars)
        else:
            most = _max(most, _plus(sidecars, of(container)))
    return _max(_plus(running, sidecars), most)


def _plus(a: Amounts, b: Amounts) -> dict[str, Quantity]:
    return {name: a.get(name, ZERO) + b.get(name, ZERO) for name in _names(a, b)}


def _max(a: Amounts, b: Amounts) -> dict[str, Quantity]:
    return {name: max(a.get(name, ZERO), b.get(name, ZERO)) for name in _names(a, b)}


def _names(a: Iterable[str], b: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*a, *b]))
