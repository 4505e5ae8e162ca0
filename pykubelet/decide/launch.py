"""Choose which containers to start now, after their images, in order. No I/O."""

import dataclasses
import enum
from collections.abc import Iterable

from pykubelet.decide import backoff, labels, lookup, restart
from pykubelet.decide.draft import Draft
from pykubelet.model import observed
from pykubelet.model.actions import Backoff, EnsureImage, Kind, OpKey, StartContainer
from pykubelet.model.container import Container
from pykubelet.model.ids import ImageRef, SandboxId
from pykubelet.model.observed import ContainerState
from pykubelet.model.pod_state import PodState


class _Readiness(enum.Enum):
    READY = "ready"
    WAITING = "waiting"
    """Its image is on the way: what comes after it waits too."""
    HELD_BACK = "held back"
    """It crashed or something failed, and its time has not come: the others go on."""


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A container to be started: `attempt` numbers this start, `ready_at` ends its crash-loop delay (epoch seconds)."""

    container: Container
    kind: Kind
    attempt: int
    ready_at: float
    backoff: Backoff | None


def candidate(state: PodState, container: Container, kind: Kind, now: float) -> Candidate:
    """The next start of a container that is wanted and does not run."""
    seen = lookup.newest(state.seen, container.name)
    attempt = _next_attempt(state, container.name, kind, seen)
    longest = state.max_restart_delay
    if seen is not None and labels.has_changed(container, seen):
        # One of another image has not crashed yet, whatever the one before did.
        afresh = backoff.next_delay(None, now, attempt=attempt, now=now, longest=longest)
        return Candidate(container, kind, attempt, 0.0, afresh)
    exited_at = backoff.exit_counted_from(state, seen) if seen else None
    if exited_at is None:
        return Candidate(container, kind, attempt, 0.0, None)
    previous = state.backoffs.get(container.name)
    return Candidate(
        container,
        kind,
        attempt,
        backoff.ready_at(previous, exited_at, attempt=attempt, longest=longest),
        backoff.next_delay(previous, exited_at, attempt=attempt, now=now, longest=longest),
    )


def images_ahead(draft: Draft, candidates: Iterable[Candidate]) -> None:
    """Get the images of containers that were never started while the sandbox and the volumes are being made."""
    for one in candidates:
        if one.attempt == 0:
            _has_image(draft, one)


def in_order(draft: Draft, candidates: Iterable[Candidate], sandbox: SandboxId) -> None:
    """Start the regular containers: each after the ones before it in the list have started, postStart hook included."""
    blocked = False
    for one in candidates:
        if lookup.is_starting(draft.state, one.container.name):
            return
        match _readiness(draft, one):
            case _Readiness.READY if not blocked:
                blocked = draft.add(_start(one, sandbox))
            case _Readiness.WAITING:
                blocked = True
            case _:
                pass


def at_once(draft: Draft, candidates: Iterable[Candidate], sandbox: SandboxId) -> None:
    """Start containers that do not wait for one another: ephemeral ones, the next init container, sidecars again."""
    for one in candidates:
        if _readiness(draft, one) is _Readiness.READY:
            draft.add(_start(one, sandbox))


def _start(one: Candidate, sandbox: SandboxId) -> StartContainer:
    return StartContainer(one.container.name, one.kind, one.attempt, sandbox, one.backoff)


def _readiness(draft: Draft, one: Candidate) -> _Readiness:
    if one.ready_at > draft.now:
        draft.wake(one.ready_at)
        return _Readiness.HELD_BACK
    failure = draft.state.failures.get(OpKey(f"start/{one.container.name}"))
    if failure is not None and failure.retry_at > draft.now:
        draft.wake(failure.retry_at)
        return _Readiness.HELD_BACK
    if not _has_image(draft, one):
        failed_before = OpKey(f"image/{one.container.name}") in draft.state.failures
        return _Readiness.HELD_BACK if failed_before else _Readiness.WAITING
    if not _has_image_volumes(draft.state, one.container):
        return _Readiness.HELD_BACK
    return _Readiness.READY


def _has_image(draft: Draft, one: Candidate) -> bool:
    container = one.container
    have = draft.state.images.get(container.name)
    if have is not None and have.image_id and have.attempt == one.attempt:
        return True
    draft.add(EnsureImage(ImageRef(container.image), pull_policy(container), container.name, one.attempt))
    return False


def pull_policy(container: Container) -> str:
    """The policy asked for, or what the API server fills in where a static Pod says nothing."""
    if container.image_pull_policy:
        return container.image_pull_policy
    name, _, digest = container.image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if not digest and tag in ("", "latest") else "IfNotPresent"


def image_volumes(draft: Draft) -> None:
    """Get the images that are mounted as volumes."""
    for volume in draft.state.pod.spec.volumes:
        if volume.image is not None and volume.name not in draft.state.image_volumes:
            draft.add(
                EnsureImage(
                    ImageRef(volume.image.reference), volume.image.pull_policy or "IfNotPresent", volume=volume.name
                )
            )


def _has_image_volumes(state: PodState, container: Container) -> bool:
    wanted = {volume.name for volume in state.pod.spec.volumes if volume.image is not None}
    return all(m.name in state.image_volumes for m in container.volume_mounts if m.name in wanted)


def _next_attempt(state: PodState, name: str, kind: Kind, seen: observed.Container | None) -> int:
    if seen is not None:
        return seen.attempt + 1
    # Removed behind our back: the API still knows how often it was started.
    status = state.pod.status
    match kind:
        case Kind.REGULAR:
            reported = status.container_statuses
        case Kind.INIT:
            reported = status.init_container_statuses
        case Kind.EPHEMERAL:
            reported = status.ephemeral_container_statuses
    for one in reported:
        if one.name == name and one.container_id:
            return one.restart_count + 1
        if one.name == name and one.last_state.terminated is not None:
            return one.restart_count
    return 0


def wanted(state: PodState, kind: Kind) -> tuple[Container, ...]:
    """The regular or ephemeral containers that are to be started; an ephemeral one is started once."""
    spec = state.pod.spec
    if kind is Kind.EPHEMERAL:
        return tuple(c for c in spec.ephemeral_containers if not _was_started(state, c.name))
    return tuple(c for c in spec.containers if restart.wanted(state, c, lookup.newest(state.seen, c.name)))


def _was_started(state: PodState, name: str) -> bool:
    seen = lookup.newest(state.seen, name)
    # One that was created and no more, and is not just being started, never ran.
    return seen is not None and (seen.state is not ContainerState.CREATED or lookup.is_starting(state, name))


def is_over(state: PodState) -> bool:
    """Whether every regular container has ended for good."""
    for container in state.pod.spec.containers:
        seen = lookup.newest(state.seen, container.name)
        if seen is None or seen.state is not ContainerState.EXITED or restart.wanted(state, container, seen):
            return False
    return True
