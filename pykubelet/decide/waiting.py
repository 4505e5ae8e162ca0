"""Say why a container is not running though it should be: the reason and message of its waiting state. No I/O."""

from pykubelet.decide import backoff, launch, lookup, restart, restart_all
from pykubelet.model import observed
from pykubelet.model.actions import Kind, OpKey
from pykubelet.model.container import Container
from pykubelet.model.observed import ContainerState
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Failure, PodState
from pykubelet.model.status import ContainerStatus, Waiting

CREATING = "ContainerCreating"
INITIALIZING = "PodInitializing"
CRASH_LOOP = "CrashLoopBackOff"
PULL_ERROR = "ErrImagePull"
PULL_BACKOFF = "ImagePullBackOff"

ERROR_SHOWN_FOR = 5.0
"""Seconds for which a failed pull shows its error before it shows that it is being waited for."""


def default(pod: Pod) -> Waiting:
    """Of a container that nothing is known about yet."""
    return Waiting(reason=INITIALIZING if pod.spec.init_containers else CREATING)


def of(
    state: PodState, container: Container, seen: observed.Container | None, old: ContainerStatus | None, *, now: float
) -> Waiting | None:
    """What keeps a container that is wanted from running; None if nothing does but time."""
    if seen is not None and seen.state is ContainerState.RUNNING:
        return None
    if not restart.wanted(state, container, seen) and not lookup.is_starting(state, container.name):
        return None
    image = state.failures.get(OpKey(f"image/{container.name}"))
    if image is not None:
        return _of_image(image, container, now)
    volumes = {mount.name for mount in container.volume_mounts}
    for volume in state.pod.spec.volumes:
        failed = state.failures.get(OpKey(f"image-volume/{volume.name}"))
        if volume.image is not None and volume.name in volumes and failed is not None:
            return Waiting(reason=failed.reason, message=failed.message)
    crash = _crash_loop(state, container, seen, now)
    if crash is not None:
        return crash
    start = state.failures.get(OpKey(f"start/{container.name}"))
    if start is not None:
        return Waiting(reason=start.reason, message=start.message)
    if old is not None and old.state.waiting is not None and old.state.waiting.reason == CRASH_LOOP:
        return old.state.waiting
    if seen is not None and seen.state is ContainerState.EXITED and not _may_leave_its_end(state, container, seen):
        return default(state.pod)
    return None


def _may_leave_its_end(state: PodState, container: Container, seen: observed.Container) -> bool:
    # The API takes no container back to life that its policy lets end, though it was us who stopped it to start again.
    policy = state.pod.spec.restart_policy
    return restart_all.may_happen(state.pod) or restart.after_exit(container, seen.exit_code, pod_policy=policy)


def _of_image(failure: Failure, container: Container, now: float) -> Waiting:
    if failure.reason != PULL_ERROR or now < failure.at + ERROR_SHOWN_FOR:
        return Waiting(reason=failure.reason, message=failure.message)
    message = f'Back-off pulling image "{container.image}": {PULL_ERROR}: {failure.message}'
    return Waiting(reason=PULL_BACKOFF, message=message)


def _crash_loop(state: PodState, container: Container, seen: observed.Container | None, now: float) -> Waiting | None:
    previous = state.backoffs.get(container.name)
    exited_at = backoff.exit_counted_from(state, seen) if seen is not None else None
    if previous is None or exited_at is None:
        return None
    if launch.candidate(state, container, Kind.REGULAR, now).ready_at <= now:
        return None
    pod = state.pod.metadata
    where = f"container={container.name} pod={pod.name}_{pod.namespace}({pod.uid})"
    return Waiting(reason=CRASH_LOOP, message=f"back-off {_duration(previous.delay)} restarting failed {where}")


def _duration(seconds: float) -> str:
    """As Go prints a duration: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
