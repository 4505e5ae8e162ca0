"""A container as a Pod asks for it. Source: core/v1 Container and its parts; only what a Linux kubelet uses."""

from nodekit.objects.base import Object

ResourceList = dict[str, str]
"""Resource name to quantity, as written (`{"cpu": "100m"}`); nodekit.objects.quantity reads the values."""


class ContainerPort(Object):
    container_port: int
    name: str = ""
    host_port: int = 0
    protocol: str = "TCP"
    host_ip: str = ""


class ObjectFieldSelector(Object):
    field_path: str
    api_version: str = "v1"


class ResourceFieldSelector(Object):
    resource: str
    container_name: str = ""
    divisor: str = "0"


class KeySelector(Object):
    """One key of a ConfigMap or Secret."""

    key: str
    name: str = ""
    optional: bool = False


class FileKeySelector(Object):
    volume_name: str
    path: str
    key: str
    optional: bool = False


class EnvVarSource(Object):
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None
    file_key_ref: FileKeySelector | None = None


class EnvVar(Object):
    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class EnvSourceRef(Object):
    """A whole ConfigMap or Secret as environment."""

    name: str = ""
    optional: bool = False


class EnvFromSource(Object):
    prefix: str = ""
    config_map_ref: EnvSourceRef | None = None
    secret_ref: EnvSourceRef | None = None


class VolumeMount(Object):
    name: str
    mount_path: str
    read_only: bool = False
    recursive_read_only: str = ""
    sub_path: str = ""
    sub_path_expr: str = ""
    mount_propagation: str = ""


class VolumeDevice(Object):
    name: str
    device_path: str


class ResourceClaim(Object):
    name: str
    request: str = ""


class ResourceRequirements(Object):
    limits: ResourceList = {}
    requests: ResourceList = {}
    claims: tuple[ResourceClaim, ...] = ()


class ResizePolicy(Object):
    resource_name: str
    restart_policy: str = "NotRequired"


class ExitCodes(Object):
    operator: str
    """`In` or `NotIn`."""
    values: tuple[int, ...] = ()


class RestartRule(Object):
    action: str
    """`Restart` or `RestartAllContainers`."""
    exit_codes: ExitCodes | None = None


class HTTPHeader(Object):
    name: str
    value: str = ""


class HTTPGetAction(Object):
    port: int | str
    path: str = ""
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HTTPHeader, ...] = ()


class ExecAction(Object):
    command: tuple[str, ...] = ()


class TCPSocketAction(Object):
    port: int | str
    host: str = ""


class GRPCAction(Object):
    port: int
    service: str | None = None


class SleepAction(Object):
    seconds: int


class Handler(Object):
    """What a hook does: exactly one of the fields is set."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Object):
    post_start: Handler | None = None
    pre_stop: Handler | None = None
    stop_signal: str | None = None


class Probe(Object):
    """A probe: exactly one of the four handlers is set. Periods in seconds."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class SELinuxOptions(Object):
    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class SecurityProfile(Object):
    """A seccomp or AppArmor profile: `RuntimeDefault`, `Unconfined`, or `Localhost` with its name."""

    type: str
    localhost_profile: str | None = None


class Capabilities(Object):
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class SecurityContext(Object):
    capabilities: Capabilities | None = None
    privileged: bool | None = None
    se_linux_options: SELinuxOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool | None = None
    allow_privilege_escalation: bool | None = None
    proc_mount: str | None = None
    seccomp_profile: SecurityProfile | None = None
    app_armor_profile: SecurityProfile | None = None


class Container(Object):
    """A regular, init or ephemeral container. Only an ephemeral one may set `target_container_name`."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    env: tuple[EnvVar, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    resize_policy: tuple[ResizePolicy, ...] = ()
    restart_policy: str | None = None
    """Own policy, over the Pod's. An init container with `Always` is a sidecar."""
    restart_policy_rules: tuple[RestartRule, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    volume_devices: tuple[VolumeDevice, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: str = "File"
    image_pull_policy: str = ""
    security_context: SecurityContext | None = None
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    target_container_name: str = ""
