"""What is there, off the wire: CRI messages as `model.observed` values."""

from collections.abc import Iterable, Mapping

from cri_protos import api_pb2 as pb
from pykubelet.cri import convert_config
from pykubelet.model import observed
from pykubelet.model import runtime_config as rc
from pykubelet.model.ids import ContainerId, SandboxId, Uid

SANDBOX_STATES: dict[int, observed.SandboxState] = {
    pb.SANDBOX_READY: observed.SandboxState.READY,
    pb.SANDBOX_NOTREADY: observed.SandboxState.NOT_READY,
}
CONTAINER_STATES: dict[int, observed.ContainerState] = {
    pb.CONTAINER_CREATED: observed.ContainerState.CREATED,
    pb.CONTAINER_RUNNING: observed.ContainerState.RUNNING,
    pb.CONTAINER_EXITED: observed.ContainerState.EXITED,
    pb.CONTAINER_UNKNOWN: observed.ContainerState.UNKNOWN,
}
WIRE_SANDBOX_STATES = {
    observed.SandboxState.READY: pb.SANDBOX_READY,
    observed.SandboxState.NOT_READY: pb.SANDBOX_NOTREADY,
}
WIRE_CONTAINER_STATES = {
    observed.ContainerState.CREATED: pb.CONTAINER_CREATED,
    observed.ContainerState.RUNNING: pb.CONTAINER_RUNNING,
    observed.ContainerState.EXITED: pb.CONTAINER_EXITED,
    observed.ContainerState.UNKNOWN: pb.CONTAINER_UNKNOWN,
}
EVENT_KINDS: dict[int, observed.EventKind] = {
    pb.CONTAINER_CREATED_EVENT: observed.EventKind.CREATED,
    pb.CONTAINER_STARTED_EVENT: observed.EventKind.STARTED,
    pb.CONTAINER_STOPPED_EVENT: observed.EventKind.STOPPED,
    pb.CONTAINER_DELETED_EVENT: observed.EventKind.DELETED,
}
NAMESPACE_MODES: dict[int, rc.NamespaceMode] = {wire: mode for mode, wire in convert_config.NAMESPACE_MODES.items()}
PROPAGATIONS: dict[int, rc.MountPropagation] = {wire: mode for mode, wire in convert_config.PROPAGATIONS.items()}


def seconds(nanoseconds: int) -> float:
    """Epoch seconds. "Not reached" is 0 on the wire, or Go's zero time from some runtimes."""
    return nanoseconds / 1_000_000_000 if nanoseconds > 0 else 0.0


def sandbox(item: pb.PodSandbox) -> observed.Sandbox:
    return observed.Sandbox(
        id=SandboxId(item.id),
        uid=Uid(item.metadata.uid),
        namespace=item.metadata.namespace,
        name=item.metadata.name,
        attempt=item.metadata.attempt,
        state=SANDBOX_STATES.get(item.state, observed.SandboxState.NOT_READY),
        created_at=seconds(item.created_at),
        labels=dict(item.labels),
        annotations=dict(item.annotations),
        runtime_handler=item.runtime_handler,
    )


def sandbox_status(status: pb.PodSandboxStatus) -> observed.Sandbox:
    ips = (status.network.ip, *(ip.ip for ip in status.network.additional_ips))
    return observed.Sandbox(
        id=SandboxId(status.id),
        uid=Uid(status.metadata.uid),
        namespace=status.metadata.namespace,
        name=status.metadata.name,
        attempt=status.metadata.attempt,
        state=SANDBOX_STATES.get(status.state, observed.SandboxState.NOT_READY),
        created_at=seconds(status.created_at),
        labels=dict(status.labels),
        annotations=dict(status.annotations),
        runtime_handler=status.runtime_handler,
        detailed=True,
        ips=tuple(ip for ip in ips if ip),
        namespaces=namespaces(status.linux.namespaces.options) if status.linux.HasField("namespaces") else None,
    )


def namespaces(options: pb.NamespaceOption) -> rc.Namespaces:
    user = options.userns_options
    return rc.Namespaces(
        network=NAMESPACE_MODES.get(options.network, rc.NamespaceMode.POD),
        pid=NAMESPACE_MODES.get(options.pid, rc.NamespaceMode.POD),
        ipc=NAMESPACE_MODES.get(options.ipc, rc.NamespaceMode.POD),
        target=ContainerId(options.target_id) if options.target_id else None,
        user=rc.UserNamespace(
            mode=NAMESPACE_MODES.get(user.mode, rc.NamespaceMode.POD),
            uids=mappings(user.uids),
            gids=mappings(user.gids),
        )
        if options.HasField("userns_options")
        else None,
    )


def mappings(maps: Iterable[pb.IDMapping]) -> tuple[rc.IdMapping, ...]:
    return tuple(rc.IdMapping(host_id=m.host_id, container_id=m.container_id, length=m.length) for m in maps)


def pod_uid(labels: Mapping[str, str]) -> Uid:
    return Uid(labels.get(observed.POD_UID_LABEL, ""))


def container(item: pb.Container) -> observed.Container:
    labels = dict(item.labels)
    return observed.Container(
        id=ContainerId(item.id),
        name=item.metadata.name,
        attempt=item.metadata.attempt,
        pod_uid=pod_uid(labels),
        sandbox_id=SandboxId(item.pod_sandbox_id),
        state=CONTAINER_STATES.get(item.state, observed.ContainerState.UNKNOWN),
        created_at=seconds(item.created_at),
        image=item.image.user_specified_image or item.image.image,
        image_ref=item.image_ref,
        image_id=item.image_id,
        labels=labels,
        annotations=dict(item.annotations),
    )


def container_status(status: pb.ContainerStatus, *, sandbox: SandboxId) -> observed.Container:
    labels = dict(status.labels)
    return observed.Container(
        id=ContainerId(status.id),
        name=status.metadata.name,
        attempt=status.metadata.attempt,
        pod_uid=pod_uid(labels),
        sandbox_id=sandbox,
        state=CONTAINER_STATES.get(status.state, observed.ContainerState.UNKNOWN),
        created_at=seconds(status.created_at),
        image=status.image.user_specified_image or status.image.image,
        image_ref=status.image_ref,
        image_id=status.image_id,
        labels=labels,
        annotations=dict(status.annotations),
        detailed=True,
        started_at=seconds(status.started_at),
        finished_at=seconds(status.finished_at),
        exit_code=status.exit_code,
        reason=status.reason,
        message=status.message,
        log_path=status.log_path,
        mounts=tuple(mount(m) for m in status.mounts),
        resources=resources(status.resources.linux) if status.resources.HasField("linux") else None,
        user=user(status.user.linux) if status.user.HasField("linux") else None,
        stop_signal=signal(status.stop_signal),
    )


def mount(value: pb.Mount) -> rc.Mount:
    return rc.Mount(
        container_path=value.container_path,
        host_path=value.host_path,
        readonly=value.readonly,
        recursive_read_only=value.recursive_read_only,
        selinux_relabel=value.selinux_relabel,
        propagation=PROPAGATIONS.get(value.propagation, rc.MountPropagation.PRIVATE),
        uid_mappings=mappings(value.uidMappings),
        gid_mappings=mappings(value.gidMappings),
        image=image_spec(value.image) if value.HasField("image") else None,
        image_sub_path=value.image_sub_path,
        mount_options=tuple(value.mount_options),
    )


def image_spec(spec: pb.ImageSpec) -> rc.ImageSpec:
    return rc.ImageSpec(
        image=spec.image,
        user_specified_image=spec.user_specified_image,
        runtime_handler=spec.runtime_handler,
        image_ref=spec.image_ref,
        annotations=dict(spec.annotations),
    )


def resources(limits: pb.LinuxContainerResources) -> rc.LinuxResources:
    return rc.LinuxResources(
        cpu_period=limits.cpu_period,
        cpu_quota=limits.cpu_quota,
        cpu_shares=limits.cpu_shares,
        memory_limit=limits.memory_limit_in_bytes,
        memory_swap_limit=limits.memory_swap_limit_in_bytes,
        oom_score_adj=limits.oom_score_adj,
        cpuset_cpus=limits.cpuset_cpus,
        cpuset_mems=limits.cpuset_mems,
        hugepage_limits=tuple(rc.HugepageLimit(page_size=h.page_size, limit=h.limit) for h in limits.hugepage_limits),
        unified=dict(limits.unified),
    )


def user(value: pb.LinuxContainerUser) -> observed.User:
    return observed.User(uid=value.uid, gid=value.gid, supplemental_groups=tuple(value.supplemental_groups))


def signal(value: pb.Signal.ValueType) -> str:
    if value == pb.SIGNAL_RUNTIME_DEFAULT or value not in pb.Signal.values():
        return ""
    name = pb.Signal.Name(value).removeprefix("SIGNAL_")
    return name.replace("MINPLUS", "MIN+").replace("MAXMINUS", "MAX-")


def event(response: pb.ContainerEventResponse) -> observed.RuntimeEvent:
    status = response.pod_sandbox_status if response.HasField("pod_sandbox_status") else None
    seen = None if status is None or not status.id else sandbox_status(status)
    containers = tuple(
        container_status(c, sandbox=seen.id if seen else SandboxId("")) for c in response.containers_statuses
    )
    return observed.RuntimeEvent(
        container_id=ContainerId(response.container_id),
        # Of a kind that is not known yet only what comes with it matters.
        kind=EVENT_KINDS.get(response.container_event_type, observed.EventKind.CREATED),
        at=seconds(response.created_at),
        pod_uid=seen.uid if seen else containers[0].pod_uid if containers else Uid(""),
        sandbox=seen,
        containers=containers,
    )


def image(value: pb.Image) -> observed.Image:
    return observed.Image(
        id=value.id,
        repo_tags=tuple(value.repo_tags),
        repo_digests=tuple(value.repo_digests),
        size=value.size,
        uid=value.uid.value if value.HasField("uid") else None,
        username=value.username,
        pinned=value.pinned,
    )


def filesystem(value: pb.FilesystemUsage) -> observed.FilesystemUsage:
    return observed.FilesystemUsage(
        at=seconds(value.timestamp),
        mountpoint=value.fs_id.mountpoint,
        used_bytes=value.used_bytes.value,
        inodes_used=value.inodes_used.value,
    )


def runtime_status(response: pb.StatusResponse) -> observed.RuntimeStatus:
    return observed.RuntimeStatus(
        conditions=tuple(
            observed.Condition(type=c.type, status=c.status, reason=c.reason, message=c.message)
            for c in response.status.conditions
        ),
        handlers=tuple(
            observed.RuntimeHandler(
                name=h.name,
                recursive_read_only_mounts=h.features.recursive_read_only_mounts,
                user_namespaces=h.features.user_namespaces,
            )
            for h in response.runtime_handlers
        ),
        features=frozenset(field.name for field, value in response.features.ListFields() if value),
    )
