"""Choose devices for containers, and say what they get with them. No I/O. Source: K/pkg/kubelet/cm/devicemanager."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pykubelet.decide import resources
from pykubelet.model.container import Container
from pykubelet.model.devices import NO_NUMA, Assignment, Device, DeviceGrant, Offers
from pykubelet.model.pod import Pod
from pykubelet.model.runtime_config import Device as DeviceNode
from pykubelet.model.runtime_config import Mount
from pykubelet.model.status import ResourceHealth, ResourceStatus

_NATIVE = "kubernetes.io"
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class Missing:
    """Devices that a container is still to get."""

    container: Container
    resource: str
    count: int


def is_extended(resource: str) -> bool:
    """Whether it is a name that a plugin may offer (`vendor.example/gpu`). Source: IsExtendedResourceName."""
    domain, slash, name = resource.partition("/")
    return (
        bool(slash and domain and name)
        and len(resource) <= _LONGEST_NAME
        and domain != _NATIVE
        and not domain.endswith(f".{_NATIVE}")
        and not resource.startswith("requests.")
        and all(
            part.isascii() and part.replace("-", "").replace(".", "").replace("_", "").isalnum()
            for part in (domain, name)
        )
    )


def wanted(container: Container) -> dict[str, int]:
    """How many of each extended resource it asks for; such cannot be overcommitted, so that limits say it all."""
    amounts = resources.amounts(container.resources.limits)
    return {name: amount.value for name, amount in amounts.items() if "/" in name and amount.value > 0}


def missing(pod: Pod, held: Collection[Assignment], known: Collection[str]) -> tuple[Missing, ...]:
    """What the Pod's containers still lack of resources that plugins offer (`known`), init containers first."""
    have = {(one.container, one.resource) for one in held if one.uid == pod.uid}
    return tuple(
        Missing(container, resource, count)
        for container in (*pod.spec.init_containers, *pod.spec.containers)
        for resource, count in wanted(container).items()
        if resource in known and (container.name, resource) not in have
    )


def reusable(pod: Pod, container: Container, resource: str, held: Iterable[Assignment]) -> frozenset[str]:
    """Devices of init containers that will have ended before this container starts, and that no other has since."""
    mine = {one.container: one.ids for one in held if one.uid == pod.uid and one.resource == resource}
    free: frozenset[str] = frozenset()
    for init in pod.spec.init_containers:
        if init.name == container.name:
            return free
        ids = mine.get(init.name, frozenset())
        free = free - ids if resources.is_sidecar(init) else free | ids
    for regular in pod.spec.containers:
        if regular.name == container.name:
            return free
        free -= mine.get(regular.name, frozenset())
    return free


def available(resource: str, offers: Offers, held: Iterable[Assignment]) -> frozenset[str]:
    """Healthy devices that no container has."""
    taken = {id_ for one in held if one.resource == resource for id_ in one.ids}
    return frozenset(id_ for id_, device in offers.get(resource, {}).items() if device.healthy and id_ not in taken)


def shortage(lack: Missing, offers: Offers, reuse: Collection[str], free: Collection[str]) -> str | None:
    """Why the devices cannot be had; None if they can."""
    devices = offers.get(lack.resource)
    if devices is None:
        return f"cannot allocate unregistered device {lack.resource}"
    if not any(device.healthy for device in devices.values()):
        return f"no healthy devices present; cannot allocate unhealthy devices {lack.resource}"
    needed = lack.count - len(reuse)
    if needed > len(free):
        return (
            f"requested number of devices unavailable for {lack.resource}. Requested: {needed}, Available: {len(free)}"
        )
    return None


def choose(count: int, *, reuse: Collection[str], free: Collection[str], preferred: Iterable[str] = ()) -> list[str]:
    """That many devices: those that can be used again first, then those the plugin prefers."""
    order = dict.fromkeys([*sorted(reuse), *(id_ for id_ in preferred if id_ in free), *sorted(free)])
    return list(order)[:count]


def by_numa(ids: Iterable[str], devices: Mapping[str, Device]) -> dict[int, tuple[str, ...]]:
    """The devices by the NUMA nodes they are near to."""
    found: dict[int, list[str]] = {}
    for id_ in ids:
        device = devices.get(id_)
        for node in device.numa if device is not None and device.numa else (NO_NUMA,):
            found.setdefault(node, []).append(id_)
    return {node: tuple(there) for node, there in found.items()}


def together(grants: Iterable[DeviceGrant]) -> DeviceGrant:
    """What a container with devices of several resources gets; of two that contradict each other, the first."""
    envs: dict[str, str] = {}
    annotations: dict[str, str] = {}
    mounts: dict[str, Mount] = {}
    devices: dict[str, DeviceNode] = {}
    cdi: dict[str, None] = {}
    for grant in grants:
        envs = {**dict(grant.envs), **envs}
        annotations = {**grant.annotations, **annotations}
        mounts = {**{mount.container_path: mount for mount in grant.mounts}, **mounts}
        devices = {**{device.container_path: device for device in grant.devices}, **devices}
        cdi |= dict.fromkeys(grant.cdi_devices)
    return DeviceGrant(tuple(envs.items()), tuple(mounts.values()), tuple(devices.values()), annotations, tuple(cdi))


def statuses(pod: Pod, held: Iterable[Assignment], offers: Offers) -> Mapping[str, tuple[ResourceStatus, ...]]:
    """The health of each container's devices, by container; what nobody tells of counts as healthy."""
    found: dict[str, list[ResourceStatus]] = {}
    for one in held:
        if one.uid == pod.uid:
            devices = offers.get(one.resource, {})
            health = tuple(ResourceHealth(resource_id=id_, health=_health(devices.get(id_))) for id_ in sorted(one.ids))
            found.setdefault(one.container, []).append(ResourceStatus(name=one.resource, resources=health))
    return {container: tuple(sorted(told, key=lambda one: one.name)) for container, told in found.items()}


def counts(held: Iterable[Assignment]) -> Mapping[str, int]:
    """How many devices of each resource containers have."""
    found: dict[str, set[str]] = {}
    for one in held:
        found.setdefault(one.resource, set()).update(one.ids)
    return {resource: len(ids) for resource, ids in found.items()}


def _health(device: Device | None) -> str:
    return "Healthy" if device is None or device.healthy else "Unhealthy"
