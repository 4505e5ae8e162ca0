"""What is asked, onto the wire: `model.runtime_config` values as CRI messages."""

from collections.abc import Iterable

from cri_protos import api_pb2 as pb
from pykubelet.model import runtime_config as rc

NAMESPACE_MODES = {
    rc.NamespaceMode.POD: pb.POD,
    rc.NamespaceMode.CONTAINER: pb.CONTAINER,
    rc.NamespaceMode.NODE: pb.NODE,
    rc.NamespaceMode.TARGET: pb.TARGET,
}
PROTOCOLS = {rc.Protocol.TCP: pb.TCP, rc.Protocol.UDP: pb.UDP, rc.Protocol.SCTP: pb.SCTP}
PROPAGATIONS = {
    rc.MountPropagation.PRIVATE: pb.PROPAGATION_PRIVATE,
    rc.MountPropagation.HOST_TO_CONTAINER: pb.PROPAGATION_HOST_TO_CONTAINER,
    rc.MountPropagation.BIDIRECTIONAL: pb.PROPAGATION_BIDIRECTIONAL,
}
PROFILE_TYPES = {
    rc.ProfileType.RUNTIME_DEFAULT: pb.SecurityProfile.RuntimeDefault,
    rc.ProfileType.UNCONFINED: pb.SecurityProfile.Unconfined,
    rc.ProfileType.LOCALHOST: pb.SecurityProfile.Localhost,
}
GROUPS_POLICIES = {rc.SupplementalGroupsPolicy.MERGE: pb.Merge, rc.SupplementalGroupsPolicy.STRICT: pb.Strict}


def sandbox(spec: rc.SandboxSpec) -> pb.PodSandboxConfig:
    return pb.PodSandboxConfig(
        metadata=pb.PodSandboxMetadata(name=spec.name, uid=spec.uid, namespace=spec.namespace, attempt=spec.attempt),
        hostname=spec.hostname,
        log_directory=spec.log_directory,
        dns_config=None if spec.dns is None else dns(spec.dns),
        port_mappings=[port(p) for p in spec.port_mappings],
        labels=spec.labels,
        annotations=spec.annotations,
        linux=pb.LinuxPodSandboxConfig(
            cgroup_parent=spec.cgroup_parent,
            security_context=sandbox_security(spec.security),
            sysctls=spec.sysctls,
            overhead=None if spec.overhead is None else resources(spec.overhead),
            resources=None if spec.resources is None else resources(spec.resources),
        ),
    )


def dns(config: rc.DNSConfig) -> pb.DNSConfig:
    return pb.DNSConfig(servers=config.servers, searches=config.searches, options=config.options)


def port(mapping: rc.PortMapping) -> pb.PortMapping:
    return pb.PortMapping(
        protocol=PROTOCOLS[mapping.protocol],
        container_port=mapping.container_port,
        host_port=mapping.host_port,
        host_ip=mapping.host_ip,
    )


def sandbox_security(security: rc.SandboxSecurity) -> pb.LinuxSandboxSecurityContext:
    return pb.LinuxSandboxSecurityContext(
        namespace_options=namespaces(security.namespaces),
        selinux_options=selinux(security.selinux),
        run_as_user=integer(security.run_as_user),
        run_as_group=integer(security.run_as_group),
        readonly_rootfs=security.readonly_rootfs,
        supplemental_groups=security.supplemental_groups,
        supplemental_groups_policy=GROUPS_POLICIES[security.supplemental_groups_policy],
        privileged=security.privileged,
        seccomp=profile(security.seccomp),
        apparmor=profile(security.apparmor),
    )


def container(spec: rc.ContainerSpec) -> pb.ContainerConfig:
    return pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=spec.name, attempt=spec.attempt),
        image=image(spec.image),
        command=spec.command,
        args=spec.args,
        working_dir=spec.working_dir,
        envs=[pb.KeyValue(key=key, value=value.encode(errors="surrogateescape")) for key, value in spec.envs],
        mounts=[mount(m) for m in spec.mounts],
        devices=[
            pb.Device(container_path=d.container_path, host_path=d.host_path, permissions=d.permissions)
            for d in spec.devices
        ],
        CDI_devices=[pb.CDIDevice(name=name) for name in spec.cdi_devices],
        labels=spec.labels,
        annotations=spec.annotations,
        log_path=spec.log_path,
        stdin=spec.stdin,
        stdin_once=spec.stdin_once,
        tty=spec.tty,
        linux=pb.LinuxContainerConfig(
            resources=resources(spec.resources), security_context=container_security(spec.security)
        ),
        stop_signal=signal(spec.stop_signal),
    )


def container_security(security: rc.ContainerSecurity) -> pb.LinuxContainerSecurityContext:
    return pb.LinuxContainerSecurityContext(
        namespace_options=namespaces(security.namespaces),
        capabilities=pb.Capability(
            add_capabilities=security.capabilities.add,
            drop_capabilities=security.capabilities.drop,
            add_ambient_capabilities=security.capabilities.add_ambient,
        ),
        privileged=security.privileged,
        selinux_options=selinux(security.selinux),
        run_as_user=integer(security.run_as_user),
        run_as_group=integer(security.run_as_group),
        run_as_username=security.run_as_username,
        readonly_rootfs=security.readonly_rootfs,
        supplemental_groups=security.supplemental_groups,
        supplemental_groups_policy=GROUPS_POLICIES[security.supplemental_groups_policy],
        no_new_privs=security.no_new_privs,
        masked_paths=security.masked_paths,
        readonly_paths=security.readonly_paths,
        seccomp=profile(security.seccomp),
        apparmor=profile(security.apparmor),
    )


def namespaces(options: rc.Namespaces) -> pb.NamespaceOption:
    user = options.user
    return pb.NamespaceOption(
        network=NAMESPACE_MODES[options.network],
        pid=NAMESPACE_MODES[options.pid],
        ipc=NAMESPACE_MODES[options.ipc],
        target_id=options.target or "",
        userns_options=None
        if user is None
        else pb.UserNamespace(mode=NAMESPACE_MODES[user.mode], uids=mappings(user.uids), gids=mappings(user.gids)),
    )


def mappings(maps: Iterable[rc.IdMapping]) -> list[pb.IDMapping]:
    return [pb.IDMapping(host_id=m.host_id, container_id=m.container_id, length=m.length) for m in maps]


def mount(value: rc.Mount) -> pb.Mount:
    return pb.Mount(
        container_path=value.container_path,
        host_path=value.host_path,
        readonly=value.readonly,
        recursive_read_only=value.recursive_read_only,
        selinux_relabel=value.selinux_relabel,
        propagation=PROPAGATIONS[value.propagation],
        uidMappings=mappings(value.uid_mappings),
        gidMappings=mappings(value.gid_mappings),
        image=None if value.image is None else image(value.image),
        image_sub_path=value.image_sub_path,
        mount_options=value.mount_options,
    )


def image(spec: rc.ImageSpec) -> pb.ImageSpec:
    return pb.ImageSpec(
        image=spec.image,
        user_specified_image=spec.user_specified_image,
        runtime_handler=spec.runtime_handler,
        image_ref=spec.image_ref,
        annotations=spec.annotations,
    )


def resources(limits: rc.LinuxResources) -> pb.LinuxContainerResources:
    return pb.LinuxContainerResources(
        cpu_period=limits.cpu_period,
        cpu_quota=limits.cpu_quota,
        cpu_shares=limits.cpu_shares,
        memory_limit_in_bytes=limits.memory_limit,
        memory_swap_limit_in_bytes=limits.memory_swap_limit,
        oom_score_adj=limits.oom_score_adj,
        cpuset_cpus=limits.cpuset_cpus,
        cpuset_mems=limits.cpuset_mems,
        hugepage_limits=[pb.HugepageLimit(page_size=h.page_size, limit=h.limit) for h in limits.hugepage_limits],
        unified=limits.unified,
    )


def profile(value: rc.SecurityProfile | None) -> pb.SecurityProfile | None:
    if value is None:
        return None
    return pb.SecurityProfile(profile_type=PROFILE_TYPES[value.type], localhost_ref=value.localhost_ref)


def selinux(value: rc.SELinuxOptions | None) -> pb.SELinuxOption | None:
    if value is None:
        return None
    return pb.SELinuxOption(user=value.user, role=value.role, type=value.type, level=value.level)


def integer(value: int | None) -> pb.Int64Value | None:
    return None if value is None else pb.Int64Value(value=value)


def signal(name: str) -> pb.Signal.ValueType:
    """The API's `SIGRTMIN+3` is the wire's SIGNAL_SIGRTMINPLUS3. ValueError for a name that is no signal."""
    if not name:
        return pb.SIGNAL_RUNTIME_DEFAULT
    return pb.Signal.Value(f"SIGNAL_{name.replace('+', 'PLUS').replace('-', 'MINUS')}")


def auth(value: rc.AuthConfig) -> pb.AuthConfig:
    return pb.AuthConfig(
        username=value.username,
        password=value.password,
        auth=value.auth,
        server_address=value.server_address,
        identity_token=value.identity_token,
        registry_token=value.registry_token,
    )
