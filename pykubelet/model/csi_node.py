"""The CSINode: which storage drivers a node has. Source: k8s.io/api storage/v1."""

from typing import Final

from nodekit.objects.base import Object
from nodekit.objects.meta import ApiObject
from nodekit.objects.resource import Resource


class VolumeNodeResources(Object):
    """How many volumes of a driver the node can take; None is no limit."""

    count: int | None = None


class CSINodeDriver(Object):
    """One driver: the node's name to it, and the topology it says the node is in."""

    name: str
    node_id: str = ""
    topology_keys: tuple[str, ...] = ()
    allocatable: VolumeNodeResources | None = None


class CSINodeSpec(Object):
    """The API writes an empty list as null."""

    drivers: tuple[CSINodeDriver, ...] = ()


class CSINode(ApiObject):
    """Belongs to the Node of the same name."""

    spec: CSINodeSpec = CSINodeSpec()


CSI_NODES: Final = Resource(CSINode, "storage.k8s.io/v1", "CSINode", "csinodes", namespaced=False)
