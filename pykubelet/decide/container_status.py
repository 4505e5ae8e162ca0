"""Decide the status of one container from what is asked, what is seen and what was last reported. No I/O.

Source: core/v1 ContainerStatus; K/pkg/kubelet/kubelet_pods.go convertToAPIContainerStatuses. A status never goes back:
what has been reported as ended stays so though the runtime no longer has it.
"""

import dataclasses
from collections.abc import Mapping

import msgspec

from nodekit.objects import times
from pykubelet.decide import lookup, resize, restart_all, waiting
from pykubelet.model import observed
from pykubelet.model.actions import Kind
from pykubelet.model.container import Container, VolumeMount
from pykubelet.model.ids import ContainerId
from pykubelet.model.observed import ContainerState as Seen
from pykubelet.model.pod_state import PodState, Verdict
from pykubelet.model.status import (
    ContainerState,
    ContainerStatus,
    ContainerUser,
    LinuxUser,
    ResourceStatus,
    Running,
    Terminated,
    VolumeMountStatus,
    Waiting,
)

STATUS_UNKNOWN = "ContainerStatusUnknown"
LOST_WHEN_DELETED = "The container could not be located when the pod was deleted.  The container used to be Running"
LOST_WHEN_STOPPED = "The container could not be located when the pod was terminated"
LOST_EXIT_CODE = 137
_MESSAGE_BYTES = 12 * 1024
"""For the termination messages of a Pod's containers together."""


@dataclasses.dataclass(frozen=True, slots=True)
class Runtime:
    """What the status of every container on this node depends on.

    `name` prefixes container ids (`containerd`). `termination_messages` are what ended containers left, by id.
    `recursive_read_only`: the Pod's runtime handler can mount so. `devices` tell the health of those that the
    containers have, by container.
    """

    name: str = "containerd"
    termination_messages: Mapping[ContainerId, str] = dataclasses.field(default_factory=dict)
    recursive_read_only: bool = False
    devices: Mapping[str, tuple[ResourceStatus, ...]] = dataclasses.field(default_factory=dict)


def of(
    state: PodState, asked: tuple[Container, Kind], old: ContainerStatus | None, runtime: Runtime, *, now: float
) -> ContainerStatus:
    """The status of one container; `old` is what was last reported of it."""
    container, kind = asked
    instances = tuple(lookup.named(state.seen, container.name))
    if not instances:
        status = _never_seen(state, container, old, runtime)
    else:
        status = _seen(state, container, instances, old, runtime)
    if kind is not Kind.EPHEMERAL and not _has_completed_init(status, kind):
        status = _with_waiting(state, container, instances, status, old, now=now)
    return _with_readiness(state, asked, instances, status, old)


def _never_seen(
    state: PodState, container: Container, old: ContainerStatus | None, runtime: Runtime
) -> ContainerStatus:
    """The runtime has nothing of it: it was never made, or has been removed."""
    status = _blank(state, container, runtime)
    if old is None:
        return status
    if restart_all.sources(state) and old.state.waiting is None:
        return _reset(status, old)
    if old.state.terminated is not None:
        return old
    status = msgspec.structs.replace(status, restart_count=old.restart_count, last_state=old.last_state)
    if old.state.running is None or old.last_state.terminated is not None:
        return status
    # It did run and is gone without a trace: waiting alone would make the Pod pending again.
    lost = Terminated(exit_code=LOST_EXIT_CODE, reason=STATUS_UNKNOWN, message=LOST_WHEN_DELETED)
    deleted = state.pod.metadata.deletion_timestamp is not None
    return msgspec.structs.replace(
        status,
        last_state=ContainerState(terminated=lost),
        restart_count=old.restart_count + (0 if deleted else 1),
    )


def _reset(status: ContainerStatus, old: ContainerStatus) -> ContainerStatus:
    """Removed by us so that the whole Pod starts over."""
    last = Terminated(exit_code=LOST_EXIT_CODE, reason=restart_all.REASON, message=restart_all.MESSAGE)
    return msgspec.structs.replace(
        status,
        state=ContainerState(waiting=Waiting(reason=restart_all.REASON, message=restart_all.MESSAGE)),
        last_state=ContainerState(terminated=last),
        restart_count=old.restart_count + 1,
    )


def _blank(state: PodState, container: Container, runtime: Runtime) -> ContainerStatus:
    return ContainerStatus(
        name=container.name,
        ready=False,
        restart_count=0,
        image=container.image,
        image_id="",
        state=ContainerState(waiting=waiting.default(state.pod)),
        last_state=ContainerState(),
        volume_mounts=tuple(_mount(mount, runtime) for mount in container.volume_mounts),
    )


def _seen(
    state: PodState,
    container: Container,
    instances: tuple[observed.Container, ...],
    old: ContainerStatus | None,
    runtime: Runtime,
) -> ContainerStatus:
    newest = instances[0]
    cid = f"{runtime.name}://{newest.id}"
    now_state = _state_of(state, container, newest, old, runtime)
    # One that was created and never ran is nobody's predecessor.
    predecessor = next((one for one in instances[1:] if one.state is Seen.EXITED), None)
    if predecessor is not None:
        last_state = ContainerState(terminated=_terminated(state, predecessor, runtime))
    elif old is not None and old.container_id != cid and old.state.terminated is not None:
        last_state = ContainerState(terminated=old.state.terminated)
    else:
        last_state = old.last_state if old is not None else ContainerState()
    # One that has not started yet is no restart: it would be counted long before anything of it is seen to run.
    counted = newest if newest.state is not Seen.CREATED or old is None else predecessor
    attempts = counted.attempt if counted is not None else 0
    restarts = max(attempts, old.restart_count if old is not None else 0)
    return ContainerStatus(
        name=container.name,
        ready=False,
        restart_count=restarts,
        image=newest.image,
        image_id=newest.image_ref,
        state=now_state,
        last_state=last_state,
        container_id=cid,
        allocated_resources=container.resources.requests,
        resources=resize.shown(state, container) if newest.state is Seen.RUNNING else container.resources,
        volume_mounts=tuple(_mount(mount, runtime) for mount in container.volume_mounts),
        user=_user(newest),
        allocated_resources_status=runtime.devices.get(container.name, ()),
    )


def _state_of(
    state: PodState, container: Container, seen: observed.Container, old: ContainerStatus | None, runtime: Runtime
) -> ContainerState:
    match seen.state:
        case Seen.RUNNING:
            hook = container.lifecycle.post_start if container.lifecycle is not None else None
            if hook is not None and lookup.is_starting(state, container.name):
                return ContainerState(waiting=waiting.default(state.pod))
            return ContainerState(running=Running(started_at=times.of(seen.started_at)))
        case Seen.EXITED:
            return ContainerState(terminated=_terminated(state, seen, runtime))
        case Seen.CREATED:
            return ContainerState(waiting=waiting.default(state.pod))
        case Seen.UNKNOWN:
            if old is not None and old.state.running is not None:
                lost = Terminated(exit_code=LOST_EXIT_CODE, reason=STATUS_UNKNOWN, message=LOST_WHEN_STOPPED)
                return ContainerState(terminated=lost)
            return ContainerState(waiting=Waiting())


def _terminated(state: PodState, seen: observed.Container, runtime: Runtime) -> Terminated:
    spec = state.pod.spec
    count = len(spec.containers) + len(spec.init_containers) + len(spec.ephemeral_containers)
    left = runtime.termination_messages.get(seen.id, "")
    message = ": ".join(part for part in (seen.message, left) if part)
    return Terminated(
        exit_code=seen.exit_code,
        reason=seen.reason,
        message=message.encode()[: _MESSAGE_BYTES // max(count, 1)].decode(errors="ignore"),
        started_at=times.of(seen.started_at) if seen.started_at else None,
        finished_at=times.of(seen.finished_at) if seen.finished_at else None,
        container_id=f"{runtime.name}://{seen.id}",
    )


def _with_waiting(
    state: PodState,
    container: Container,
    instances: tuple[observed.Container, ...],
    status: ContainerStatus,
    old: ContainerStatus | None,
    *,
    now: float,
) -> ContainerStatus:
    if state.ending is not None:
        return status
    why = waiting.of(state, container, instances[0] if instances else None, old, now=now)
    if why is None:
        return status
    last = status.state if status.state.terminated is not None else status.last_state
    return msgspec.structs.replace(status, state=ContainerState(waiting=why), last_state=last)


def _has_completed_init(status: ContainerStatus, kind: Kind) -> bool:
    return kind is Kind.INIT and status.state.terminated is not None and status.state.terminated.exit_code == 0


def _with_readiness(
    state: PodState,
    asked: tuple[Container, Kind],
    instances: tuple[observed.Container, ...],
    status: ContainerStatus,
    old: ContainerStatus | None,
) -> ContainerStatus:
    container, kind = asked
    if kind is Kind.EPHEMERAL:
        return status
    if status.state.running is None or not instances:
        return msgspec.structs.replace(status, started=False, ready=_has_completed_init(status, kind))
    # After a restart of the kubelet no probe has a verdict yet: what was said of this very instance still holds.
    same = old if old is not None and old.container_id == status.container_id else None
    probed = state.probed.get(instances[0].id)
    started = container.startup_probe is None or _verdict(
        probed.startup if probed else Verdict.UNKNOWN, same is not None and bool(same.started)
    )
    ready = started and (
        container.readiness_probe is None
        or _verdict(probed.readiness if probed else Verdict.UNKNOWN, same is not None and same.ready)
    )
    if kind is Kind.INIT and not lookup.is_sidecar(container, kind):
        ready = False
    return msgspec.structs.replace(status, started=started, ready=ready)


def _verdict(verdict: Verdict, before: bool) -> bool:
    return before if verdict is Verdict.UNKNOWN else verdict is Verdict.SUCCESS


def _mount(mount: VolumeMount, runtime: Runtime) -> VolumeMountStatus:
    recursive = None
    if mount.read_only:
        wanted = mount.recursive_read_only == "Enabled" or mount.recursive_read_only == "IfPossible"
        recursive = "Enabled" if wanted and runtime.recursive_read_only else "Disabled"
    return VolumeMountStatus(
        name=mount.name, mount_path=mount.mount_path, read_only=mount.read_only, recursive_read_only=recursive
    )


def _user(seen: observed.Container) -> ContainerUser | None:
    if seen.user is None:
        return None
    user = seen.user
    linux = LinuxUser(uid=user.uid, gid=user.gid, supplemental_groups=user.supplemental_groups)
    return ContainerUser(linux=linux)
