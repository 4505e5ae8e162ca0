"""What is reported of a Pod. Source: core/v1 PodStatus and its parts."""

import datetime as dt

from msgspec import field

from nodekit.objects.base import Object
from pykubelet.model.container import ResourceList, ResourceRequirements


class Waiting(Object):
    reason: str = ""
    message: str = ""


class Running(Object):
    started_at: dt.datetime | None = None


class Terminated(Object):
    exit_code: int = field(name="exitCode")
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    container_id: str = field(name="containerID", default="")


class ContainerState(Object):
    """At most one is set; none is the API's empty state `{}`."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class LinuxUser(Object):
    uid: int
    gid: int
    supplemental_groups: tuple[int, ...] = ()


class ContainerUser(Object):
    linux: LinuxUser | None = None


class VolumeMountStatus(Object):
    name: str
    mount_path: str
    read_only: bool = False
    recursive_read_only: str | None = None


class ResourceHealth(Object):
    """A device by its id, and whether it is `Healthy`, `Unhealthy` or `Unknown`."""

    resource_id: str
    health: str = ""


class ResourceStatus(Object):
    """How what a container was assigned of one resource is."""

    name: str
    resources: tuple[ResourceHealth, ...] = ()


class ContainerStatus(Object):
    """`name`, `ready`, `restart_count`, `image`, `image_id`, `state` and `last_state` are always written."""

    name: str
    ready: bool = field(name="ready")
    restart_count: int = field(name="restartCount")
    image: str = field(name="image")
    image_id: str = field(name="imageID")
    state: ContainerState
    last_state: ContainerState
    container_id: str = ""
    started: bool | None = None
    allocated_resources: ResourceList = {}
    resources: ResourceRequirements | None = None
    volume_mounts: tuple[VolumeMountStatus, ...] = ()
    user: ContainerUser | None = None
    allocated_resources_status: tuple[ResourceStatus, ...] = ()
    stop_signal: str | None = None


class PodCondition(Object):
    """A condition. `last_probe_time` is null in all that the genuine kubelet writes."""

    type: str
    status: str
    observed_generation: int = 0
    last_probe_time: dt.datetime | None = field(name="lastProbeTime", default=None)
    last_transition_time: dt.datetime | None = None
    reason: str = ""
    message: str = ""


class IP(Object):
    ip: str


class ResourceClaimStatus(Object):
    name: str
    resource_claim_name: str | None = None


class PodStatus(Object):
    observed_generation: int = 0
    phase: str = ""
    conditions: tuple[PodCondition, ...] = ()
    message: str = ""
    reason: str = ""
    nominated_node_name: str = ""
    host_ip: str = ""
    host_ips: tuple[IP, ...] = ()
    pod_ip: str = ""
    pod_ips: tuple[IP, ...] = ()
    start_time: dt.datetime | None = None
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()
    qos_class: str = ""
    resize: str = ""
    resource_claim_statuses: tuple[ResourceClaimStatus, ...] = ()
    allocated_resources: ResourceList = {}
    resources: ResourceRequirements | None = None
