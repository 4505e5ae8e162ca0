"""The machine as it was read off /proc and /sys, and one of its filesystems. Sizes are bytes."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """What does not change while the machine runs. `huge_pages`: bytes set aside, by page size in bytes."""

    cores: int
    memory: int
    swap: int = 0
    huge_pages: Mapping[int, int] = dataclasses.field(default_factory=dict)
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    booted_at: float = 0.0
    kernel: str = ""
    os_image: str = ""
    architecture: str = ""
    max_pids: int = 0
    in_user_namespace: bool = False
    physical_cores: int = 0
    sockets: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Filesystem:
    """`available` is what an ordinary process may still use; some filesystems have no inodes to run out of (0)."""

    capacity: int
    available: int
    used: int
    inodes: int = 0
    inodes_free: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Pressure:
    """What the machine runs short of."""

    memory: bool = False
    disk: bool = False
    pids: bool = False
