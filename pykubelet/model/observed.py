"""What the container runtime says is there: sandboxes and containers of a node at one moment. No I/O.

Times are epoch seconds (float); 0.0 is "not reached". Lists of a Pod are newest first.
"""

import dataclasses
import enum
from collections.abc import Mapping

from pykubelet.model import runtime_config
from pykubelet.model.ids import ContainerId, SandboxId, Uid

POD_NAME_LABEL = "io.kubernetes.pod.name"
POD_NAMESPACE_LABEL = "io.kubernetes.pod.namespace"
POD_UID_LABEL = "io.kubernetes.pod.uid"
CONTAINER_NAME_LABEL = "io.kubernetes.container.name"


class ContainerState(enum.Enum):
    CREATED = "Created"
    RUNNING = "Running"
    EXITED = "Exited"
    UNKNOWN = "Unknown"


class SandboxState(enum.Enum):
    READY = "Ready"
    NOT_READY = "NotReady"


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """The ids a container's first process began with."""

    uid: int
    gid: int
    supplemental_groups: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Container:
    """One container of the runtime.

    From a list of containers only the fields up to `annotations` are known; `detailed` says whether the rest are too
    (from ContainerStatus). `image` is the name it was asked for by, `image_ref` a digest, `image_id` the runtime's id.
    After a quick exit `finished_at` can be milliseconds before `started_at`. `log_path` is absolute. `stop_signal` is
    the API's word (`SIGTERM`), empty if the runtime did not say.
    """

    id: ContainerId
    name: str
    attempt: int
    pod_uid: Uid
    sandbox_id: SandboxId
    state: ContainerState
    created_at: float
    image: str = ""
    image_ref: str = ""
    image_id: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    detailed: bool = False
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    log_path: str = ""
    mounts: tuple[runtime_config.Mount, ...] = ()
    resources: runtime_config.LinuxResources | None = None
    user: User | None = None
    stop_signal: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Sandbox:
    """One sandbox. `ips` (first the primary) and `namespaces` come only with PodSandboxStatus, `detailed` then is True.

    On the host network `ips` stays empty: the addresses are the node's.
    """

    id: SandboxId
    uid: Uid
    namespace: str
    name: str
    attempt: int
    state: SandboxState
    created_at: float
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    runtime_handler: str = ""
    detailed: bool = False
    ips: tuple[str, ...] = ()
    namespaces: runtime_config.Namespaces | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class PodRuntime:
    """All the runtime has of one Pod, newest first: a sandbox or container made later stands before the older ones."""

    uid: Uid
    namespace: str
    name: str
    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[Container, ...] = ()


class EventKind(enum.Enum):
    CREATED = "created"
    STARTED = "started"
    STOPPED = "stopped"
    DELETED = "deleted"


@dataclasses.dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """A hint that something happened to a container or a sandbox (then `container_id` is the sandbox's id).

    `sandbox` and `containers` are the statuses the runtime sent along: newer ones fill them in, others leave them
    empty, so a reader asks again (containerd#8047). `pod_uid` is empty if the runtime did not say.
    """

    container_id: ContainerId
    kind: EventKind
    at: float
    pod_uid: Uid
    sandbox: Sandbox | None = None
    containers: tuple[Container, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image on the node; `size` in bytes. `uid` None and empty `username` mean root."""

    id: str
    repo_tags: tuple[str, ...] = ()
    repo_digests: tuple[str, ...] = ()
    size: int = 0
    uid: int | None = None
    username: str = ""
    pinned: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class FilesystemUsage:
    at: float
    mountpoint: str
    used_bytes: int
    inodes_used: int


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFilesystems:
    """Where images lie and where writable layers lie; often the same one, then `containers` may be empty."""

    images: tuple[FilesystemUsage, ...]
    containers: tuple[FilesystemUsage, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class RuntimeVersion:
    """`name` such as `containerd`, `version` such as `2.4.2` (a leading v is removed)."""

    name: str
    version: str
    api_version: str


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    type: str
    status: bool
    reason: str = ""
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class RuntimeHandler:
    """A RuntimeClass handler; the default one's name is empty."""

    name: str
    recursive_read_only_mounts: bool = False
    user_namespaces: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class RuntimeStatus:
    """`RuntimeReady` and `NetworkReady` are among the conditions. `features` holds the names of those that are there:
    supplemental_groups_policy, user_namespaces_host_network, mount_options."""

    conditions: tuple[Condition, ...]
    handlers: tuple[RuntimeHandler, ...] = ()
    features: frozenset[str] = frozenset()


class CgroupDriver(enum.Enum):
    """The values are those of KubeletConfiguration.cgroupDriver."""

    SYSTEMD = "systemd"
    CGROUPFS = "cgroupfs"


@dataclasses.dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    stdout: bytes
    stderr: bytes
