"""A Pod as the API server or a static file asks for it. Source: core/v1 Pod; only what a Linux kubelet uses."""

from msgspec import field

from nodekit.objects.base import Object
from nodekit.objects.meta import ApiObject
from pykubelet.model.container import Container, ResourceList, ResourceRequirements, SecurityProfile, SELinuxOptions
from pykubelet.model.ids import Uid
from pykubelet.model.status import PodStatus
from pykubelet.model.volume import LocalObjectReference, Volume


class Sysctl(Object):
    name: str
    value: str


class PodSecurityContext(Object):
    se_linux_options: SELinuxOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_policy: str | None = None
    fs_group: int | None = None
    fs_group_change_policy: str | None = None
    sysctls: tuple[Sysctl, ...] = ()
    seccomp_profile: SecurityProfile | None = None
    app_armor_profile: SecurityProfile | None = None


class HostAlias(Object):
    ip: str
    hostnames: tuple[str, ...] = ()


class DNSOption(Object):
    name: str
    value: str | None = None


class DNSConfig(Object):
    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[DNSOption, ...] = ()


class Toleration(Object):
    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class ReadinessGate(Object):
    condition_type: str


class NodeSelectorRequirement(Object):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class NodeSelectorTerm(Object):
    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()


class NodeSelector(Object):
    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()


class NodeAffinity(Object):
    required: NodeSelector | None = field(name="requiredDuringSchedulingIgnoredDuringExecution", default=None)


class Affinity(Object):
    node_affinity: NodeAffinity | None = None


class PodOS(Object):
    name: str


class PodResourceClaim(Object):
    name: str
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class PodSpec(Object):
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    active_deadline_seconds: int | None = None
    dns_policy: str = "ClusterFirst"
    node_selector: dict[str, str] = {}
    service_account_name: str = ""
    node_name: str = ""
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    share_process_namespace: bool = False
    security_context: PodSecurityContext = PodSecurityContext()
    image_pull_secrets: tuple[LocalObjectReference, ...] = ()
    hostname: str = ""
    hostname_override: str | None = None
    subdomain: str = ""
    affinity: Affinity | None = None
    tolerations: tuple[Toleration, ...] = ()
    host_aliases: tuple[HostAlias, ...] = ()
    priority_class_name: str = ""
    priority: int = 0
    dns_config: DNSConfig | None = None
    readiness_gates: tuple[ReadinessGate, ...] = ()
    runtime_class_name: str | None = None
    enable_service_links: bool = True
    overhead: ResourceList = {}
    set_hostname_as_fqdn: bool = False
    os: PodOS | None = None
    host_users: bool = True
    resource_claims: tuple[PodResourceClaim, ...] = ()
    resources: ResourceRequirements | None = None


class Pod(ApiObject):
    """One Pod: `spec` is desired, `status` what the API server was last told. `str(key)` is how people name it."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def uid(self) -> Uid:
        return Uid(self.metadata.uid)
