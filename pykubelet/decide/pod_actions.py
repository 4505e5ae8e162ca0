"""Choose what to do for one Pod now: what to create, start, stop and remove. No I/O.

It is asked again after everything that happens to the Pod, so a plan holds only what can be started at this moment.
"""

from pykubelet.decide import ending, gc, health, init_order, launch, lookup, resize, restart_all, sandboxes, termination
from pykubelet.decide.draft import Draft
from pykubelet.decide.sandboxes import Current
from pykubelet.model.actions import (
    AssignDevices,
    CreateSandbox,
    Kind,
    Plan,
    PrepareVolumes,
    ResizeContainer,
    StartContainer,
    StopContainer,
    StopReason,
    StopSandbox,
)
from pykubelet.model.ids import SandboxId
from pykubelet.model.observed import SandboxState
from pykubelet.model.pod_state import PodState

TERMINAL_PHASES = frozenset({"Succeeded", "Failed"})


def of(state: PodState, *, now: float) -> Plan:
    """The next actions of a Pod, in order, and when to ask again (`now` and times in epoch seconds)."""
    draft = Draft(state, now)
    if state.ending is not None:
        return termination.plan(draft, kill_at=state.ending.kill_at)
    if is_done(state):
        return termination.plan(draft, kill_at=now + state.pod.spec.termination_grace_period_seconds)
    if not state.admitted:
        return Plan()
    deadline = ending.deadline(state.pod)
    if deadline is not None:
        draft.wake(deadline)
    current = sandboxes.current(state.pod, state.seen)
    if not state.devices_ready and not state.seen.containers:
        # Nothing is made of a Pod that may still be refused.
        draft.add(AssignDevices())
        return draft.plan()
    if not state.volumes_ready:
        draft.add(PrepareVolumes())
    if current.usable is None:
        _replace_sandbox(draft, current)
        _pull_ahead(draft)
    elif not restart_all.reset(draft):
        _stop_surplus_sandboxes(draft)
        _stop_unhealthy(draft, current.usable.id)
        _resize(draft)
        _pull_ahead(draft)
        if state.volumes_ready:
            _start_when_equipped(draft, current.usable.id)
    if restart_all.sources(state):
        return draft.plan()
    for action in gc.of_running_pod(state.seen):
        draft.add(action)
    return draft.plan()


def is_done(state: PodState) -> bool:
    """Whether the Pod has ended by itself: no container of it is ever to start again."""
    if state.pod.status.phase in TERMINAL_PHASES or launch.is_over(state):
        return True
    current = sandboxes.current(state.pod, state.seen)
    if current.usable is not None:
        return init_order.of(state, current.usable.id).failed
    # Its sandbox died, and what ran in it with it: only a Pod that restarts gets another.
    return (
        state.pod.spec.restart_policy == "Never"
        and current.next_attempt > 0
        and bool(state.seen.containers)
        and not lookup.running(state.seen)
    )


def _replace_sandbox(draft: Draft, current: Current) -> None:
    state = draft.state
    running = lookup.running(state.seen)
    grace = state.pod.spec.termination_grace_period_seconds
    for container in running:
        draft.add(
            StopContainer(
                container.id,
                container.name,
                grace,
                draft.now + grace,
                StopReason.SANDBOX_DIED,
                "Pod sandbox changed, it will be killed and re-created.",
            )
        )
    if not running and not lookup.is_under_way(state, "start"):
        draft.add(CreateSandbox(current.next_attempt, tuple(sandbox.id for sandbox in state.seen.sandboxes)))


def _stop_surplus_sandboxes(draft: Draft) -> None:
    for sandbox in draft.state.seen.sandboxes[1:]:
        if sandbox.state is SandboxState.READY:
            draft.add(StopSandbox(sandbox.id))


def _stop_unhealthy(draft: Draft, sandbox: SandboxId) -> None:
    for seen in lookup.running(draft.state.seen):
        asked = lookup.spec_of(draft.state.pod, seen.name)
        if asked is None or seen.sandbox_id != sandbox:
            continue
        container, kind = asked
        stop = health.why_stop(draft.state, container, kind, seen)
        if stop is not None:
            draft.add(StopContainer(seen.id, seen.name, stop.grace, draft.now + stop.grace, stop.reason, stop.message))


def _resize(draft: Draft) -> None:
    state = draft.state
    if state.resize_pending is not None:
        draft.wake(draft.now + resize.RETRY)
    for seen in lookup.running(state.seen):
        asked = lookup.spec_of(state.pod, seen.name)
        if asked is None or asked[1] is Kind.EPHEMERAL or lookup.is_starting(state, seen.name):
            continue
        if resize.change(state, asked[0]) is resize.Change.UPDATE:
            draft.add(ResizeContainer(seen.id, seen.name, resize.wanted(state.pod, asked[0])))


def _pull_ahead(draft: Draft) -> None:
    state = draft.state
    launch.image_volumes(draft)
    for kind, containers in ((Kind.INIT, state.pod.spec.init_containers), (Kind.REGULAR, state.pod.spec.containers)):
        unseen = (c for c in containers if lookup.newest(state.seen, c.name) is None)
        launch.images_ahead(draft, [launch.candidate(state, c, kind, draft.now) for c in unseen])


def _start_when_equipped(draft: Draft, sandbox: SandboxId) -> None:
    """Start containers. Those that run may have devices nobody remembers: only a start is a reason to assign some."""
    if draft.state.devices_ready:
        _start_containers(draft, sandbox)
        return
    would_be = Draft(draft.state, draft.now)
    _start_containers(would_be, sandbox)
    plan = would_be.plan()
    for action in plan.actions:
        draft.add(AssignDevices() if isinstance(action, StartContainer) else action)
    if plan.wake_at is not None:
        draft.wake(plan.wake_at)


def _start_containers(draft: Draft, sandbox: SandboxId) -> None:
    state, now = draft.state, draft.now
    ephemeral = launch.wanted(state, Kind.EPHEMERAL)
    launch.at_once(draft, [launch.candidate(state, c, Kind.EPHEMERAL, now) for c in ephemeral], sandbox)
    progress = init_order.of(state, sandbox)
    launch.at_once(draft, [launch.candidate(state, c, Kind.INIT, now) for c in progress.start], sandbox)
    if progress.done:
        # Those that are starting stand in the list too: the ones after them wait.
        regular = [
            c
            for c in state.pod.spec.containers
            if lookup.is_starting(state, c.name) or c in launch.wanted(state, Kind.REGULAR)
        ]
        launch.in_order(draft, [launch.candidate(state, c, Kind.REGULAR, now) for c in regular], sandbox)
