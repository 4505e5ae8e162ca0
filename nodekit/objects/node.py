"""The Node: what a machine offers and how it is. Source: k8s.io/api core/v1."""

from datetime import datetime
from typing import Final

import msgspec

from nodekit.objects import base, meta
from nodekit.objects.quantity import Quantity
from nodekit.objects.resource import Resource


class Taint(base.Object):
    """Keeps Pods away that do not tolerate it."""

    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: datetime | None = None


class NodeSpec(base.Object):
    """What the cluster asks of the machine."""

    pod_cidr: str = ""
    pod_cidrs: tuple[str, ...] = ()
    provider_id: str = ""
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


class NodeCondition(base.Object):
    """One verdict on the machine: Ready, MemoryPressure, ..."""

    type: str = ""
    status: str = ""
    last_heartbeat_time: datetime | None = None
    last_transition_time: datetime | None = None
    reason: str = ""
    message: str = ""


class NodeAddress(base.Object):
    """One address: InternalIP, ExternalIP, Hostname, InternalDNS, ExternalDNS."""

    type: str = ""
    address: str = ""


class DaemonEndpoint(base.Object):
    """A port; the API spells this one field with a capital."""

    port: int = msgspec.field(default=0, name="Port")


class NodeDaemonEndpoints(base.Object):
    """Where the agents of the machine listen."""

    kubelet_endpoint: DaemonEndpoint | None = None


class NodeSwapStatus(base.Object):
    """Swap of the machine, in bytes."""

    capacity: int | None = None


class NodeSystemInfo(base.Object):
    """Identity and versions."""

    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    kernel_version: str = ""
    os_image: str = ""
    container_runtime_version: str = ""
    kubelet_version: str = ""
    kube_proxy_version: str = ""
    operating_system: str = ""
    architecture: str = ""
    swap: NodeSwapStatus | None = None
    running_in_user_namespace: bool | None = None


class ContainerImage(base.Object):
    """An image on the machine, with all its names; the size in bytes."""

    names: tuple[str, ...] = ()
    size_bytes: int = 0


class AttachedVolume(base.Object):
    """A volume that the attach-detach controller attached."""

    name: str = ""
    device_path: str = ""


class NodeRuntimeHandlerFeatures(base.Object):
    """What a runtime handler can do."""

    recursive_read_only_mounts: bool | None = None
    user_namespaces: bool | None = None


class NodeRuntimeHandler(base.Object):
    """A runtime handler; the default one has an empty name."""

    name: str = ""
    features: NodeRuntimeHandlerFeatures | None = None


class NodeFeatures(base.Object):
    """What the runtime can do, whichever the handler."""

    supplemental_groups_policy: bool | None = None


class NodeStatus(base.Object):
    """What the machine's agents report; capacity and allocatable by resource name."""

    capacity: dict[str, Quantity] = {}
    allocatable: dict[str, Quantity] = {}
    phase: str = ""
    conditions: tuple[NodeCondition, ...] = ()
    addresses: tuple[NodeAddress, ...] = ()
    daemon_endpoints: NodeDaemonEndpoints = NodeDaemonEndpoints()
    node_info: NodeSystemInfo = NodeSystemInfo()
    images: tuple[ContainerImage, ...] = ()
    volumes_in_use: tuple[str, ...] = ()
    volumes_attached: tuple[AttachedVolume, ...] = ()
    runtime_handlers: tuple[NodeRuntimeHandler, ...] = ()
    features: NodeFeatures | None = None
    declared_features: tuple[str, ...] = ()


class Node(meta.ApiObject):
    """A machine of the cluster."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


NODES: Final = Resource(Node, "v1", "Node", "nodes", namespaced=False)
