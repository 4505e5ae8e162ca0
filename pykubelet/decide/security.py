"""What a sandbox or container may do: the Pod's security context merged with the container's own. No I/O.

Source: pkg/securitycontext, pkg/kubelet/kuberuntime/{security_context_others,helpers}.go.
"""

import dataclasses
from typing import Final, TypeVar

from pykubelet.decide.environment import ConfigError
from pykubelet.model import container as api
from pykubelet.model import runtime_config as cri
from pykubelet.model.ids import ContainerId
from pykubelet.model.pod import Pod

T = TypeVar("T")

MASKED_PATHS: Final = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
_APPARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_APPARMOR_TYPES: Final = {"runtime/default": "RuntimeDefault", "unconfined": "Unconfined"}
READONLY_PATHS: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """The node's settings that matter here. `seccomp_root` is the folder of Localhost profiles."""

    seccomp_default: bool = False
    seccomp_root: str = ""
    masked_paths: tuple[str, ...] = ()
    """Paths of this machine that containers are not to see, beside those of every machine."""


@dataclasses.dataclass(frozen=True, slots=True)
class ImageUser:
    """The user an image runs as: a number, or a name the runtime resolves. Both empty: root."""

    uid: int | None = None
    name: str = ""


def namespaces(pod: Pod, user: cri.UserNamespace | None, *, target: ContainerId | None = None) -> cri.Namespaces:
    """Whose namespaces the Pod's processes live in. `target` is the container an ephemeral one wants to see."""
    spec = pod.spec
    pid = cri.NamespaceMode.CONTAINER
    if spec.host_pid:
        pid = cri.NamespaceMode.NODE
    elif spec.share_process_namespace:
        pid = cri.NamespaceMode.POD
    elif target is not None:
        pid = cri.NamespaceMode.TARGET
    return cri.Namespaces(
        network=cri.NamespaceMode.NODE if spec.host_network else cri.NamespaceMode.POD,
        pid=pid,
        ipc=cri.NamespaceMode.NODE if spec.host_ipc else cri.NamespaceMode.POD,
        target=target if pid is cri.NamespaceMode.TARGET else None,
        user=user,
    )


def of_sandbox(pod: Pod, user: cri.UserNamespace | None) -> cri.SandboxSecurity:
    context = pod.spec.security_context
    return cri.SandboxSecurity(
        namespaces=namespaces(pod, user),
        selinux=_selinux(context.se_linux_options),
        run_as_user=context.run_as_user,
        run_as_group=context.run_as_group,
        supplemental_groups=_groups(pod),
        supplemental_groups_policy=_groups_policy(pod),
        privileged=any(
            c.security_context is not None and c.security_context.privileged
            for c in (*pod.spec.init_containers, *pod.spec.containers)
        ),
        # The sandbox's own process needs no more, whatever the containers get.
        seccomp=cri.SecurityProfile(cri.ProfileType.RUNTIME_DEFAULT),
    )


def of_container(
    pod: Pod, container: api.Container, namespaces: cri.Namespaces, *, image_user: ImageUser, node: Node
) -> cri.ContainerSecurity:
    """Raises ConfigError when the container would run as root though it must not, or names no profile."""
    own, whole = container.security_context or api.SecurityContext(), pod.spec.security_context
    user = _first(own.run_as_user, whole.run_as_user)
    if _first(own.run_as_non_root, whole.run_as_non_root):
        _refuse_root(pod, container, user, image_user)
    unmasked = own.proc_mount == "Unmasked"
    capabilities = own.capabilities or api.Capabilities()
    return cri.ContainerSecurity(
        namespaces=namespaces,
        capabilities=cri.Capabilities(add=capabilities.add, drop=capabilities.drop),
        privileged=bool(own.privileged),
        selinux=_selinux(own.se_linux_options or whole.se_linux_options),
        run_as_user=user if user is not None else image_user.uid,
        run_as_group=_first(own.run_as_group, whole.run_as_group),
        run_as_username=image_user.name if user is None else "",
        readonly_rootfs=bool(own.read_only_root_filesystem),
        supplemental_groups=_groups(pod),
        supplemental_groups_policy=_groups_policy(pod),
        no_new_privs=own.allow_privilege_escalation is False,
        masked_paths=() if unmasked else (*MASKED_PATHS, *node.masked_paths),
        readonly_paths=() if unmasked else READONLY_PATHS,
        seccomp=_seccomp(own.seccomp_profile or whole.seccomp_profile, node),
        apparmor=_apparmor(apparmor_of(pod, container)),
    )


def in_groups(found: cri.ContainerSecurity, groups: tuple[int, ...]) -> cri.ContainerSecurity:
    """The same with further groups, each once. A sandbox needs none of them: its own process opens no volume.

    Source: GetExtraSupplementalGroupsForPod in pkg/kubelet/volumemanager.
    """
    all_of_them = tuple(dict.fromkeys((*found.supplemental_groups, *groups)))
    return dataclasses.replace(found, supplemental_groups=all_of_them)


def _groups(pod: Pod) -> tuple[int, ...]:
    context = pod.spec.security_context
    return ((context.fs_group,) if context.fs_group is not None else ()) + context.supplemental_groups


def _groups_policy(pod: Pod) -> cri.SupplementalGroupsPolicy:
    policy = pod.spec.security_context.supplemental_groups_policy
    return cri.SupplementalGroupsPolicy(policy) if policy else cri.SupplementalGroupsPolicy.MERGE


def _selinux(options: api.SELinuxOptions | None) -> cri.SELinuxOptions | None:
    if options is None:
        return None
    return cri.SELinuxOptions(user=options.user, role=options.role, type=options.type, level=options.level)


def _seccomp(profile: api.SecurityProfile | None, node: Node) -> cri.SecurityProfile:
    if profile is None:
        default = cri.ProfileType.RUNTIME_DEFAULT if node.seccomp_default else cri.ProfileType.UNCONFINED
        return cri.SecurityProfile(default)
    if profile.type == "Localhost":
        if not profile.localhost_profile:
            raise ConfigError("localhostProfile must be set if seccompProfile type is Localhost.")
        return cri.SecurityProfile(cri.ProfileType.LOCALHOST, f"{node.seccomp_root}/{profile.localhost_profile}")
    return cri.SecurityProfile(cri.ProfileType(profile.type))


def apparmor_of(pod: Pod, container: api.Container) -> api.SecurityProfile | None:
    """The profile that a container shall have; a static Pod may name it in an annotation, as all Pods once did.

    Source: GetProfile in K/pkg/security/apparmor.
    """
    own = container.security_context
    if own is not None and own.app_armor_profile is not None:
        return own.app_armor_profile
    noted = pod.metadata.annotations.get(f"{_APPARMOR}{container.name}", "")
    if noted in _APPARMOR_TYPES:
        return api.SecurityProfile(type=_APPARMOR_TYPES[noted])
    if noted.startswith("localhost/"):
        return api.SecurityProfile(type="Localhost", localhost_profile=noted.removeprefix("localhost/"))
    return pod.spec.security_context.app_armor_profile


def _apparmor(profile: api.SecurityProfile | None) -> cri.SecurityProfile | None:
    if profile is None:
        return None
    if profile.type == "Localhost" and not profile.localhost_profile:
        raise ConfigError("missing localhost apparmor profile name")
    return cri.SecurityProfile(cri.ProfileType(profile.type), profile.localhost_profile or "")


def _refuse_root(pod: Pod, container: api.Container, user: int | None, image: ImageUser) -> None:
    where = f'(pod: "{pod.metadata.name}_{pod.metadata.namespace}({pod.uid})", container: {container.name})'
    if user == 0:
        raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
    if user is not None:
        return
    if image.uid is None and image.name:
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({image.name}), "
            f"cannot verify user is non-root {where}"
        )
    if image.uid == 0:
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")


def _first(own: T | None, otherwise: T | None) -> T | None:
    return own if own is not None else otherwise
