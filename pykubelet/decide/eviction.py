"""Choose which Pod has to go when the node runs short of something, and what it is told. No I/O.

Source: K/pkg/kubelet/eviction/helpers.go for the order and the words; users and controllers know both.
"""

from collections.abc import Callable, Iterable, Mapping

from nodekit.objects.quantity import Quantity
from pykubelet.decide import critical, pressure, resources
from pykubelet.decide.pressure import Limit, Observation
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Ending, EndingCause
from pykubelet.model.usage import ContainerUsage, PodUsage

REASON = "Evicted"
HARD_GRACE = 1
"""Seconds that a Pod gets to stop if the node cannot wait."""


def ranked(pods: Iterable[Pod], usage: Mapping[Uid, PodUsage], signal: str, *, disks_apart: bool) -> list[Pod]:
    """The Pods in the order in which they go. `disks_apart`: images and writable layers have a disk of their own.

    First those of which nothing is known, then those that use more than they requested, then by priority, then by how
    much more they use. Nobody requests process ids: there priority comes first, and what is not known only then.
    """
    return sorted(pods, key=lambda pod: _rank(pod, usage.get(pod.uid), signal, disks_apart=disks_apart))


def victim(pods: Iterable[Pod], usage: Mapping[Uid, PodUsage], signal: str, *, disks_apart: bool) -> Pod | None:
    """The Pod to evict: the first in order that the node can do without."""
    order = ranked(pods, usage, signal, disks_apart=disks_apart)
    return next((pod for pod in order if not critical.is_critical(pod)), None)


def images_fill(signal: str, *, disks_apart: bool) -> bool:
    """Whether unused images take of what a signal tells of: removing them may do instead of ending a Pod."""
    if pressure.resource(signal) not in (pressure.DISK, pressure.INODES):
        return False
    return not (disks_apart and _is_of_node_disk(signal))


def of_limit(
    pod: Pod, limit: Limit, seen: Observation, usage: PodUsage | None, *, now: float, longest_grace: int
) -> Ending:
    """The ending of a Pod that is evicted because a limit was crossed. `longest_grace` holds for soft limits."""
    grace = grace_of(pod, limit, longest_grace=longest_grace)
    return _evicted(grace, _shortage(pod, limit, seen, usage), now)


def grace_of(pod: Pod, limit: Limit, *, longest_grace: int) -> int:
    """The seconds a Pod gets to stop when it is evicted because this limit was crossed."""
    return HARD_GRACE if limit.is_hard else min(longest_grace, pod.spec.termination_grace_period_seconds)


def limits_local_storage(pod: Pod) -> bool:
    """Whether anything limits what the Pod may use of the node's disk: only then must that be measured."""
    return (
        any(volume.empty_dir is not None and volume.empty_dir.size_limit for volume in pod.spec.volumes)
        or pressure.DISK in resources.pod_limits(pod)
        or any(pressure.DISK in container.resources.limits for container in pod.spec.containers)
    )


def of_local_storage(pod: Pod, usage: PodUsage, *, disks_apart: bool, now: float) -> tuple[str, Ending] | None:
    """The ending of a Pod that uses more of the node's disk than its limits allow; None if it keeps to them.

    With it, which limit that was, as the genuine kubelet counts them. `disks_apart`: writable layers do not lie on the
    node's own disk; a container's limit leaves them out then, the Pod's does not.
    """
    excesses = (
        ("emptydirfs.limit", _volume_excess(pod, usage)),
        ("ephemeralpodfs.limit", _pod_excess(pod, usage)),
        ("ephemeralcontainerfs.limit", _container_excess(pod, usage, disks_apart=disks_apart)),
    )
    for signal, message in excesses:
        if message is not None:
            return signal, _evicted(HARD_GRACE, message, now)
    return None


def _evicted(grace: int, message: str, now: float) -> Ending:
    return Ending(EndingCause.EVICTED, grace, now + grace, REASON, message)


def _rank(pod: Pod, usage: PodUsage | None, signal: str, *, disks_apart: bool) -> tuple[int, ...]:
    resource = pressure.resource(signal)
    is_known = usage is not None
    used = _used(usage, signal, disks_apart=disks_apart) if usage is not None else 0
    if resource == pressure.PIDS:
        return (pod.spec.priority, is_known, -used)
    excess = used - resources.pod_requests(pod).get(resource, resources.ZERO).value if is_known else 0
    return (is_known, is_known and excess <= 0, pod.spec.priority, -excess)


def _used(usage: PodUsage, signal: str, *, disks_apart: bool) -> int:
    # A figure that is missing from what is known of a Pod counts as none used.
    match pressure.resource(signal):
        case pressure.MEMORY:
            return usage.memory or 0
        case pressure.DISK:
            whole, layers = usage.disk or 0, usage.layers
        case pressure.INODES:
            whole, layers = usage.inodes or 0, usage.layer_inodes
        case _:
            return usage.processes or 0
    if not disks_apart:
        return whole
    return whole - layers if _is_of_node_disk(signal) else layers


def _is_of_node_disk(signal: str) -> bool:
    return signal.startswith("nodefs.")


def _shortage(pod: Pod, limit: Limit, seen: Observation, usage: PodUsage | None) -> str:
    resource = limit.resource
    available = Quantity.of(seen.available, form=pressure.form(resource))
    message = f"The node was low on resource: {resource}. "
    message += f"Threshold quantity: {limit.quantity(seen.capacity)}, available: {available}. "
    if usage is None:
        return message
    asked = resources.amounts(pod.spec.resources.requests) if pod.spec.resources is not None else {}
    if resource == pressure.MEMORY and resource in asked and usage.memory is not None:
        message += _larger(f"Pod {pod.metadata.name}", usage.memory, asked[resource], resource)
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        used = _of_container(resource)(usage.containers.get(container.name, ContainerUsage()))
        request = resources.amounts(container.resources.requests).get(resource, resources.ZERO)
        if used is not None and used > request.value:
            message += _larger(f"Container {container.name}", used, request, resource)
    return message


def _larger(who: str, used: int, request: Quantity, resource: str) -> str:
    return f"{who} was using {Quantity.of_bytes(used)}, request is {request}, has larger consumption of {resource}. "


def _of_container(resource: str) -> Callable[[ContainerUsage], int | None]:
    match resource:
        case pressure.MEMORY:
            return lambda usage: usage.memory
        case pressure.DISK:
            return lambda usage: usage.disk
        case _:
            return lambda _: None


def _volume_excess(pod: Pod, usage: PodUsage) -> str | None:
    for volume in pod.spec.volumes:
        source = volume.empty_dir
        # The kernel itself keeps a tmpfs to its size.
        if source is None or source.size_limit is None or source.medium == "Memory":
            continue
        limit = resources.amounts({"size": source.size_limit}).get("size", resources.ZERO)
        if limit and usage.volumes.get(volume.name, 0) > limit.value:
            return f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{limit}". '
    return None


def _pod_excess(pod: Pod, usage: PodUsage) -> str | None:
    limit = resources.pod_limits(pod).get(pressure.DISK)
    if limit is None or usage.disk is None or usage.disk <= limit.value:
        return None
    return f"Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "


def _container_excess(pod: Pod, usage: PodUsage, *, disks_apart: bool) -> str | None:
    sidecars = (container for container in pod.spec.init_containers if resources.is_sidecar(container))
    for container in (*pod.spec.containers, *sidecars):
        limit = resources.amounts(container.resources.limits).get(pressure.DISK, resources.ZERO)
        known = usage.containers.get(container.name, ContainerUsage())
        used = known.logs if disks_apart else known.disk
        if limit and used is not None and used > limit.value:
            return f'Container {container.name} exceeded its local ephemeral storage limit "{limit}". '
    return None
