"""Decide a Node's whole status, and how it is registered. No I/O.

Source: defaultNodeStatusFuncs and initialNode in K/pkg/kubelet/kubelet_node_status.go.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from nodekit.objects.meta import ObjectMeta
from nodekit.objects.node import (
    ContainerImage,
    DaemonEndpoint,
    Node,
    NodeAddress,
    NodeDaemonEndpoints,
    NodeFeatures,
    NodeRuntimeHandler,
    NodeRuntimeHandlerFeatures,
    NodeSpec,
    NodeSwapStatus,
    NodeSystemInfo,
    Taint,
)
from nodekit.objects.quantity import Quantity
from pykubelet.config.parts import Threshold
from pykubelet.decide import declared_features, node_conditions, node_resources
from pykubelet.model import observed
from pykubelet.model.machine import Machine, Pressure

HOSTNAME: Final = "kubernetes.io/hostname"
UNINITIALIZED: Final = Taint(key="node.cloudprovider.kubernetes.io/uninitialized", value="true", effect="NoSchedule")
"""Keeps Pods away until a cloud-controller-manager has set the node up, and takes it off."""
PROVIDED_IP: Final = "alpha.kubernetes.io/provided-node-ip"
ATTACH_DETACH: Final = "volumes.kubernetes.io/controller-managed-attach-detach"
_NAMES_PER_IMAGE: Final = 5
_OS: Final = "linux"
_RECONCILED: Final = (
    HOSTNAME,
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
)
"""The labels that a kubelet which starts puts right on a Node that is there already."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What the node is told to be. `reserved` are kubeReserved and systemReserved; the version is as it is shown."""

    name: str
    hostname: str
    version: str
    port: int = 10250
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    provider_id: str = ""
    attach_detach: bool = True
    max_pods: int = 110
    pods_per_core: int = 0
    max_images: int = 50
    reserved: tuple[Mapping[str, Quantity], ...] = ()
    eviction_hard: Mapping[str, Threshold] = field(default_factory=dict)
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    external_cloud: bool = False
    """Whether a cloud-controller-manager sets the node up: --cloud-provider=external."""
    node_ips: tuple[str, ...] = ()
    """What --node-ip says: the addresses that such a controller looks for; 0.0.0.0 or :: for any of the family."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """How the node is now. `storage` is the size of the kubelet's filesystem in bytes, None if it is not counted.

    `problems` says why it is not ready. A runtime that has not answered yet is None.
    """

    machine: Machine
    addresses: tuple[str, ...]
    storage: int | None = None
    runtime_version: observed.RuntimeVersion | None = None
    runtime: observed.RuntimeStatus | None = None
    images: tuple[observed.Image, ...] = ()
    pressure: Pressure = field(default_factory=Pressure)
    problems: tuple[str, ...] = ()
    volumes_in_use: tuple[str, ...] = ()
    devices: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Of each resource that device plugins offer, how many there are and how many of them are healthy."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The Node as it should be in the API, and the words for events about what changed."""

    node: Node
    events: tuple[str, ...]


def of(previous: Node, settings: NodeSettings, facts: NodeFacts, *, now: dt.datetime) -> Verdict:
    """The Node with its status as of now, laid over what the API has (`previous`)."""
    old = previous.status
    ours = node_resources.capacity(
        facts.machine, storage=facts.storage, max_pods=settings.max_pods, pods_per_core=settings.pods_per_core
    )
    foreign = {name: amount for name, amount in old.capacity.items() if _is_foreign(name)}
    devices = {name: Quantity.of(count) for name, (count, _) in facts.devices.items()}
    healthy = {name: Quantity.of(count) for name, (_, count) in facts.devices.items()}
    capacity = {**foreign, **devices, **ours}
    kept = node_resources.reserved(ours, for_agents=settings.reserved, eviction=settings.eviction_hard)
    conditions = node_conditions.of(old.conditions, facts.pressure, problems=facts.problems, now=now)
    features = facts.runtime.features if facts.runtime is not None else frozenset[str]()
    status = msgspec.structs.replace(
        old,
        capacity=capacity,
        allocatable=node_resources.allocatable(capacity, kept) | healthy,
        conditions=conditions.conditions,
        addresses=_addresses(old.addresses, settings, facts),
        daemon_endpoints=NodeDaemonEndpoints(kubelet_endpoint=DaemonEndpoint(port=settings.port)),
        node_info=_info(settings, facts),
        images=_images(facts.images, settings.max_images),
        volumes_in_use=facts.volumes_in_use,
        runtime_handlers=_handlers(facts.runtime) if facts.runtime is not None else old.runtime_handlers,
        features=NodeFeatures(supplemental_groups_policy="supplemental_groups_policy" in features)
        if facts.runtime is not None
        else old.features,
        declared_features=declared_features.of(settings.feature_gates, features),
    )
    return Verdict(msgspec.structs.replace(previous, status=status), conditions.events)


def registered(settings: NodeSettings, machine: Machine) -> Node:
    """The Node to create, still without a status."""
    annotations = _provided(settings) | ({ATTACH_DETACH: "true"} if settings.attach_detach else {})
    taints = (*settings.taints, UNINITIALIZED) if settings.external_cloud else settings.taints
    return Node(
        metadata=ObjectMeta(
            name=settings.name, labels={**_labels(settings, machine), **settings.labels}, annotations=annotations
        ),
        spec=NodeSpec(taints=taints, provider_id=settings.provider_id),
    )


def reconciled(previous: Node, settings: NodeSettings, machine: Machine, *, starting: bool) -> Node:
    """A Node that is there already, with the labels it must have; `starting` puts right all that is set at first."""
    wanted = {**_labels(settings, machine), **settings.labels}
    names = _RECONCILED if starting else ("kubernetes.io/os", "kubernetes.io/arch")
    labels = {**previous.metadata.labels, **{name: wanted[name] for name in names if wanted.get(name)}}
    annotations = dict(previous.metadata.annotations)
    annotations.pop(PROVIDED_IP, None)
    annotations |= _provided(settings)
    if starting:
        annotations.pop(ATTACH_DETACH, None)
        if settings.attach_detach:
            annotations[ATTACH_DETACH] = "true"
    metadata = msgspec.structs.replace(previous.metadata, labels=labels, annotations=annotations)
    return msgspec.structs.replace(previous, metadata=metadata)


def has_changed(old: Node, new: Node) -> bool:
    """Whether there is more to tell than a heartbeat."""
    if old.metadata.labels != new.metadata.labels or old.metadata.annotations != new.metadata.annotations:
        return True
    before, after = (
        msgspec.structs.replace(node.status, conditions=node_conditions.without_heartbeats(node.status.conditions))
        for node in (old, new)
    )
    return before != after


def has_rebooted(previous: Node, machine: Machine) -> bool:
    """Whether the machine was started anew since the status in the API was written."""
    told = previous.status.node_info.boot_id
    return told not in ("", machine.boot_id)


def _is_foreign(name: str) -> bool:
    """Whether somebody else put this resource there: neither ours, nor huge pages that are no more."""
    ours = (node_resources.CPU, node_resources.MEMORY, node_resources.PODS, node_resources.EPHEMERAL)
    return name not in ours and not name.startswith(node_resources.HUGE_PAGES)


def _addresses(old: tuple[NodeAddress, ...], settings: NodeSettings, facts: NodeFacts) -> tuple[NodeAddress, ...]:
    """An external cloud's own addresses win; it is not told of any that nobody has named."""
    if settings.external_cloud and old:
        return old
    ours = () if settings.external_cloud and not settings.node_ips else facts.addresses[:2]
    return (
        *(NodeAddress(type="InternalIP", address=address) for address in ours),
        NodeAddress(type="Hostname", address=settings.hostname),
    )


def _provided(settings: NodeSettings) -> dict[str, str]:
    """The annotation that tells an external cloud which of the machine's addresses is the node's."""
    specified = [address for address in settings.node_ips if address not in ("0.0.0.0", "::")]
    return {PROVIDED_IP: ",".join(specified)} if settings.external_cloud and specified else {}


def _labels(settings: NodeSettings, machine: Machine) -> dict[str, str]:
    return {
        HOSTNAME: settings.hostname,
        "kubernetes.io/os": _OS,
        "kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": _OS,
        "beta.kubernetes.io/arch": machine.architecture,
    }


def _info(settings: NodeSettings, facts: NodeFacts) -> NodeSystemInfo:
    machine, runtime = facts.machine, facts.runtime_version
    return NodeSystemInfo(
        machine_id=machine.machine_id,
        system_uuid=machine.system_uuid,
        boot_id=machine.boot_id,
        kernel_version=machine.kernel,
        os_image=machine.os_image,
        container_runtime_version=f"{runtime.name}://{runtime.version}" if runtime is not None else "://Unknown",
        kubelet_version=settings.version,
        operating_system=_OS,
        architecture=machine.architecture,
        swap=NodeSwapStatus(capacity=machine.swap) if machine.swap else None,
        running_in_user_namespace=machine.in_user_namespace,
    )


def _images(images: tuple[observed.Image, ...], at_most: int) -> tuple[ContainerImage, ...]:
    """The largest first; -1 is all of them."""
    ordered = sorted(images, key=lambda image: (image.size, image.id), reverse=True)
    return tuple(
        ContainerImage(names=(*image.repo_digests, *image.repo_tags)[:_NAMES_PER_IMAGE], size_bytes=image.size)
        for image in (ordered if at_most < 0 else ordered[:at_most])
    )


def _handlers(runtime: observed.RuntimeStatus) -> tuple[NodeRuntimeHandler, ...]:
    return tuple(
        NodeRuntimeHandler(
            name=handler.name,
            features=NodeRuntimeHandlerFeatures(
                recursive_read_only_mounts=handler.recursive_read_only_mounts, user_namespaces=handler.user_namespaces
            ),
        )
        for handler in sorted(runtime.handlers, key=lambda handler: handler.name)
    )
