"""The container a Pod gets for one of its entries. No I/O. Source: kuberuntime_container.go, kubelet_pods.go."""

import dataclasses
from collections.abc import Mapping

from pykubelet.decide import cgroups, expansion, labels, security
from pykubelet.decide.environment import ConfigError
from pykubelet.model import runtime_config as cri
from pykubelet.model.container import Container, VolumeMount
from pykubelet.model.devices import DeviceGrant
from pykubelet.model.ids import ContainerId
from pykubelet.model.pod import Pod


@dataclasses.dataclass(frozen=True, slots=True)
class NodeFacts:
    """The node's share: what resources depend on, and security."""

    machine: cgroups.Machine
    security: security.Node


@dataclasses.dataclass(frozen=True, slots=True)
class Given:
    """What was found or made for this container. `image` is the runtime's id of the image that is there."""

    attempt: int
    image: str
    image_user: security.ImageUser
    envs: tuple[tuple[str, str], ...]
    mounts: tuple[cri.Mount, ...]
    volume_devices: tuple[cri.Device, ...] = ()
    volume_groups: tuple[int, ...] = ()
    """Groups that may use the Pod's persistent volumes."""
    user_namespace: cri.UserNamespace | None = None
    target: ContainerId | None = None
    """The running container whose processes an ephemeral one shall see."""
    runtime_handler: str = ""
    devices_grant: DeviceGrant = dataclasses.field(default_factory=DeviceGrant)


def of(pod: Pod, container: Container, given: Given, node: NodeFacts) -> cri.ContainerSpec:
    """Raises ConfigError when its security settings cannot be met."""
    values = dict(given.envs)
    extra = given.devices_grant
    namespaces = security.namespaces(pod, given.user_namespace, target=given.target)
    secured = security.of_container(pod, container, namespaces, image_user=given.image_user, node=node.security)
    return cri.ContainerSpec(
        name=container.name,
        image=cri.ImageSpec(given.image, user_specified_image=container.image, runtime_handler=given.runtime_handler),
        attempt=given.attempt,
        command=tuple(expansion.expand(word, values) for word in container.command),
        args=tuple(expansion.expand(word, values) for word in container.args),
        working_dir=container.working_dir,
        # Of two variables of one name the last is the process's: the container's own.
        envs=(*extra.envs, *given.envs),
        mounts=tuple(_mapped(mount, given.user_namespace) for mount in (*extra.mounts, *given.mounts)),
        devices=(*extra.devices, *given.volume_devices),
        cdi_devices=extra.cdi_devices,
        labels=labels.of_container(pod, container),
        annotations={**extra.annotations, **labels.annotations_of_container(pod, container, attempt=given.attempt)},
        log_path=f"{container.name}/{given.attempt}.log",
        stdin=container.stdin,
        stdin_once=container.stdin_once,
        tty=container.tty,
        resources=cgroups.of_container(pod, container, node.machine),
        security=security.in_groups(secured, given.volume_groups),
        stop_signal=(container.lifecycle.stop_signal or "") if container.lifecycle else "",
    )


def sub_path(mount: VolumeMount, values: Mapping[str, str]) -> str:
    """The path inside the volume that is mounted; empty is the whole. ConfigError when it could leave the volume."""
    path = mount.sub_path
    if mount.sub_path_expr:
        try:
            path = expansion.expand_strictly(mount.sub_path_expr, values)
        except KeyError as error:
            raise ConfigError(f"missing value for {error}") from error
    if path.startswith("/"):
        raise ConfigError(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise ConfigError(f"unable to provision SubPath `{path}`: must not contain '..'")
    return path


def mount(wanted: VolumeMount, *, host_path: str, read_only: bool, handles_rro: bool) -> cri.Mount:
    """A volume's mount in the container. `read_only` is the volume's own; `handles_rro`: the runtime can do that."""
    mode = wanted.recursive_read_only or "Disabled"
    if mode != "Disabled":
        _check_recursive(wanted, handles_rro=handles_rro)
    path = wanted.mount_path if wanted.mount_path.startswith("/") else f"/{wanted.mount_path}"
    return cri.Mount(
        container_path=path,
        host_path=host_path,
        readonly=wanted.read_only or read_only,
        recursive_read_only=wanted.read_only and (mode == "Enabled" or (mode == "IfPossible" and handles_rro)),
        propagation=cri.MountPropagation(wanted.mount_propagation or "None"),
    )


def _check_recursive(wanted: VolumeMount, *, handles_rro: bool) -> None:
    """Source: resolveRecursiveReadOnly in kubelet_pods.go."""
    asked = f'failed to resolve recursive read-only mode: volume "{wanted.name}" requested recursive read-only mode'
    if not wanted.read_only:
        raise ConfigError(f"{asked}, but it is not read-only")
    if wanted.mount_propagation not in ("", "None"):
        raise ConfigError(f'{asked}, but it is not compatible with propagation "{wanted.mount_propagation}"')
    if wanted.recursive_read_only == "Enabled" and not handles_rro:
        raise ConfigError(f"{asked}, but it is not supported by the runtime")


def _mapped(mount: cri.Mount, user: cri.UserNamespace | None) -> cri.Mount:
    if user is None or user.mode is cri.NamespaceMode.NODE:
        return mount
    return dataclasses.replace(mount, uid_mappings=user.uids, gid_mappings=user.gids)
