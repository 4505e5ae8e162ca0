"""What is asked of a storage driver, as plain values. `pykubelet/plugins/csi.py` puts them on the wire."""

import dataclasses
import enum
from collections.abc import Mapping


class Capability(enum.Enum):
    """What a driver's node service can do beyond publishing."""

    STAGE = "STAGE_UNSTAGE_VOLUME"
    STATS = "GET_VOLUME_STATS"
    EXPAND = "EXPAND_VOLUME"
    SINGLE_NODE_MULTI_WRITER = "SINGLE_NODE_MULTI_WRITER"
    MOUNT_GROUP = "VOLUME_MOUNT_GROUP"


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """How a volume is used. `mode` is CSI's word (`SINGLE_NODE_WRITER`); `group` is for drivers that apply it."""

    mode: str
    block: bool = False
    fs_type: str = ""
    mount_flags: tuple[str, ...] = ()
    group: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Handle:
    """One volume and what the driver was told of it. `secrets` are never shown."""

    id: str
    access: Access
    context: Mapping[str, str] = dataclasses.field(default_factory=dict)
    publish_context: Mapping[str, str] = dataclasses.field(default_factory=dict)
    secrets: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    read_only: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class NodeInfo:
    """How a driver knows this node. `max_volumes` 0 is no limit."""

    node_id: str
    max_volumes: int = 0
    topology: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """Of a volume; `unit` is `BYTES` or `INODES`."""

    unit: str
    used: int
    total: int
    available: int
