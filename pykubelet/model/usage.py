"""What Pods use of the node, as far as decisions about eviction need it. No I/O. Sizes in bytes."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerUsage:
    """`memory` is the working set, `disk` the writable layer and the logs; None if it is not known."""

    memory: int | None = None
    disk: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class PodUsage:
    """Of one Pod: `disk` and `inodes` are those of all its writable layers, logs and local volumes together.

    `volumes` holds the size of each local volume by name. None is "not known", which is no reason to spare a Pod.
    """

    memory: int | None = None
    disk: int | None = None
    inodes: int | None = None
    processes: int | None = None
    containers: Mapping[str, ContainerUsage] = dataclasses.field(default_factory=dict)
    volumes: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class ClaimVolume:
    """A claim's volume that a Pod has: the Pod's name for it, the claim's, and the folder that containers get.

    `driver` and `handle` are set if it is a storage driver's.
    """

    name: str
    namespace: str
    claim: str
    folder: str
    driver: str = ""
    handle: str = ""
