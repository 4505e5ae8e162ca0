"""What Pods use of the node, as far as decisions about eviction need it. No I/O. Sizes in bytes."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerUsage:
    """`memory` is the working set, `disk` the writable layer and the logs, `logs` these alone; None if not known."""

    memory: int | None = None
    disk: int | None = None
    logs: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class PodUsage:
    """Of one Pod: `disk` and `inodes` are those of all its writable layers, logs and local volumes together.

    `layers` and `layer_inodes` are what the writable layers have of them: those may lie on a disk of their own.
    `volumes` holds the size of each local volume by name. None is "not known", which counts as nothing used.
    """

    memory: int | None = None
    disk: int | None = None
    inodes: int | None = None
    layers: int = 0
    layer_inodes: int = 0
    processes: int | None = None
    containers: Mapping[str, ContainerUsage] = dataclasses.field(default_factory=dict)
    volumes: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class MountedVolume:
    """A volume that is mounted for a Pod alone: the Pod's name for it, and the folder that containers get.

    `claim` is the name of the claim that it came by, if any; `driver` and `handle` are set if it is a storage driver's.
    """

    name: str
    namespace: str
    folder: str
    claim: str = ""
    driver: str = ""
    handle: str = ""
