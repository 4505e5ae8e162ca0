"""Devices that plugins offer, and which containers have them. Plain values."""

import dataclasses
from collections.abc import Mapping

from pykubelet.model.ids import Uid
from pykubelet.model.runtime_config import Device as DeviceNode
from pykubelet.model.runtime_config import Mount

NO_NUMA = -1
"""Where a device is counted that says nothing of its NUMA nodes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Device:
    """One of a resource's devices; ids are unique within the resource. `numa`: the NUMA nodes it is near to."""

    id: str
    healthy: bool = True
    numa: tuple[int, ...] = ()


Offers = Mapping[str, Mapping[str, Device]]
"""All devices there are: by resource, then by id. A resource whose plugin has not come back yet has none."""


@dataclasses.dataclass(frozen=True, slots=True)
class DeviceGrant:
    """What a container gets with its devices."""

    envs: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[DeviceNode, ...] = ()
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cdi_devices: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Assignment:
    """The devices of one resource that one container has, by NUMA node (a device near to two is under both).

    `answer` is the plugin's ContainerAllocateResponse as it came, `grant` what it says.
    """

    uid: Uid
    container: str
    resource: str
    by_numa: Mapping[int, tuple[str, ...]]
    answer: bytes = b""
    grant: DeviceGrant = dataclasses.field(default_factory=DeviceGrant)

    @property
    def ids(self) -> frozenset[str]:
        """The devices, each once."""
        return frozenset(id_ for ids in self.by_numa.values() for id_ in ids)

    @property
    def devices(self) -> tuple[Device, ...]:
        """The same, with the NUMA nodes of each."""
        return tuple(
            Device(id_, numa=tuple(node for node, ids in self.by_numa.items() if id_ in ids and node != NO_NUMA))
            for id_ in sorted(self.ids)
        )


@dataclasses.dataclass(frozen=True, slots=True)
class PluginOptions:
    """What a plugin wants to be asked beside Allocate."""

    pre_start: bool = False
    preferred: bool = False
