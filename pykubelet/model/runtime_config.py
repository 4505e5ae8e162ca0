"""What the node asks of the container runtime, as plain values: sandboxes, containers, images. No I/O.

The fields are those of CRI v1 that a Linux kubelet sets; enum values are the Kubernetes API's own words, so that
`MountPropagation(mount.mount_propagation)` works. `pykubelet/cri/convert_config.py` puts them on the wire.
"""

import dataclasses
import enum
from collections.abc import Mapping

from pykubelet.model.ids import ContainerId, Uid


class NamespaceMode(enum.Enum):
    """Whose namespace a process joins: the Pod's, one of the container's own, the node's, or another container's."""

    POD = "Pod"
    CONTAINER = "Container"
    NODE = "Node"
    TARGET = "Target"


class Protocol(enum.Enum):
    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


class MountPropagation(enum.Enum):
    """The values are those of `VolumeMount.mountPropagation`."""

    PRIVATE = "None"
    HOST_TO_CONTAINER = "HostToContainer"
    BIDIRECTIONAL = "Bidirectional"


class ProfileType(enum.Enum):
    """The values are those of `SeccompProfile.type` and `AppArmorProfile.type`."""

    RUNTIME_DEFAULT = "RuntimeDefault"
    UNCONFINED = "Unconfined"
    LOCALHOST = "Localhost"


class SupplementalGroupsPolicy(enum.Enum):
    MERGE = "Merge"
    STRICT = "Strict"


@dataclasses.dataclass(frozen=True, slots=True)
class IdMapping:
    """`length` ids from `container_id` on in the namespace are those from `host_id` on at the node."""

    host_id: int
    container_id: int
    length: int


@dataclasses.dataclass(frozen=True, slots=True)
class UserNamespace:
    """`mode` is POD (with maps) or NODE (no user namespace)."""

    mode: NamespaceMode
    uids: tuple[IdMapping, ...] = ()
    gids: tuple[IdMapping, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Namespaces:
    """`target` is the container whose PID namespace is joined when `pid` is TARGET. `user` None means the node's."""

    network: NamespaceMode = NamespaceMode.POD
    pid: NamespaceMode = NamespaceMode.CONTAINER
    ipc: NamespaceMode = NamespaceMode.POD
    target: ContainerId | None = None
    user: UserNamespace | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SecurityProfile:
    """A seccomp or AppArmor profile. `localhost_ref`: a path for seccomp, a loaded profile's name for AppArmor."""

    type: ProfileType
    localhost_ref: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SELinuxOptions:
    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Capabilities:
    """Names without `CAP_`; `ALL` stands for every one."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    add_ambient: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class HugepageLimit:
    page_size: str
    """As the cgroup files name it: `2MB`, `1GB`."""
    limit: int


@dataclasses.dataclass(frozen=True, slots=True)
class LinuxResources:
    """Limits as the cgroup wants them; 0 or empty is "not set", and in an update "leave as it is".

    cpu_period and cpu_quota in microseconds, memory in bytes, `unified` are cgroup v2 files and what to write.
    """

    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_shares: int = 0
    memory_limit: int = 0
    memory_swap_limit: int = 0
    oom_score_adj: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    hugepage_limits: tuple[HugepageLimit, ...] = ()
    unified: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class DNSConfig:
    """The sandbox's resolv.conf. An empty one, or None in a SandboxSpec, gives it the node's."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class PortMapping:
    """A port of the node that leads to one of the Pod; empty `host_ip` is every address."""

    container_port: int
    host_port: int
    protocol: Protocol = Protocol.TCP
    host_ip: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SandboxSecurity:
    namespaces: Namespaces = Namespaces()
    selinux: SELinuxOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    readonly_rootfs: bool = False
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_policy: SupplementalGroupsPolicy = SupplementalGroupsPolicy.MERGE
    privileged: bool = False
    seccomp: SecurityProfile | None = None
    apparmor: SecurityProfile | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SandboxSpec:
    """A sandbox to be made. `log_directory` is absolute. Empty `runtime_handler` is the runtime's default.

    `hostname` must be empty on the host network: the node's UTS namespace is not to be changed.
    """

    name: str
    namespace: str
    uid: Uid
    attempt: int = 0
    hostname: str = ""
    log_directory: str = ""
    dns: DNSConfig | None = None
    port_mappings: tuple[PortMapping, ...] = ()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cgroup_parent: str = ""
    security: SandboxSecurity = SandboxSecurity()
    sysctls: Mapping[str, str] = dataclasses.field(default_factory=dict)
    overhead: LinuxResources | None = None
    resources: LinuxResources | None = None
    runtime_handler: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ImageSpec:
    """An image as asked of the runtime. `image` is a name, digest or image id; the others as the API's CRI fields."""

    image: str
    user_specified_image: str = ""
    runtime_handler: str = ""
    image_ref: str = ""
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Mount:
    """One mount in a container: of `host_path`, or of `image` (then `host_path` is empty, `image_sub_path` may be set).

    `recursive_read_only` needs `readonly` and PRIVATE propagation.
    """

    container_path: str
    host_path: str = ""
    readonly: bool = False
    recursive_read_only: bool = False
    selinux_relabel: bool = False
    propagation: MountPropagation = MountPropagation.PRIVATE
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    image: ImageSpec | None = None
    image_sub_path: str = ""
    mount_options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Device:
    container_path: str
    host_path: str
    permissions: str = "mrw"


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerSecurity:
    """`run_as_username` and `run_as_user` exclude each other; `run_as_group` needs one of them.

    Empty `masked_paths` and `readonly_paths` leave nothing masked: pass the defaults where procMount is Default.
    """

    namespaces: Namespaces = Namespaces()
    capabilities: Capabilities = Capabilities()
    privileged: bool = False
    selinux: SELinuxOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_username: str = ""
    readonly_rootfs: bool = False
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_policy: SupplementalGroupsPolicy = SupplementalGroupsPolicy.MERGE
    no_new_privs: bool = False
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    seccomp: SecurityProfile | None = None
    apparmor: SecurityProfile | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container to be made. `log_path` is relative to the sandbox's log_directory.

    `envs` are pairs in order; names and values may hold any bytes by surrogateescape. `stop_signal` is the API's word
    (`SIGTERM`, `SIGRTMIN+3`), empty for the image's or the runtime's own.
    """

    name: str
    image: ImageSpec
    attempt: int = 0
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    envs: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    cdi_devices: tuple[str, ...] = ()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    log_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    resources: LinuxResources = LinuxResources()
    security: ContainerSecurity = ContainerSecurity()
    stop_signal: str = ""


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class AuthConfig:
    """Credentials of one registry. Without a repr: never logged."""

    username: str = ""
    password: str = ""
    auth: str = ""
    server_address: str = ""
    identity_token: str = ""
    registry_token: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Streams:
    """Which streams an exec or attach joins. With a tty there is no stderr of its own."""

    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    tty: bool = False
