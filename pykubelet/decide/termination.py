"""Choose how a Pod stops: what is stopped now, what waits its turn, what is released afterwards. No I/O.

Source: KEP-753 for the order (sidecars after the regular containers, the last one first).
"""

import math
from collections.abc import Iterator

from pykubelet.decide import gc, lookup
from pykubelet.decide.draft import Draft
from pykubelet.model import observed
from pykubelet.model.actions import Forget, Kind, Plan, RunPreStop, StopContainer, StopReason, StopSandbox, TearDown
from pykubelet.model.observed import SandboxState
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import PodState


def plan(draft: Draft, *, kill_at: float) -> Plan:
    """One step towards nothing left. Stops have until `kill_at` (epoch seconds)."""
    state = draft.state
    running = lookup.running(state.seen)
    if running:
        _stop(draft, running, kill_at)
        return draft.plan()
    if could_still_start(state):
        return draft.plan()
    for sandbox in state.seen.sandboxes:
        if sandbox.state is SandboxState.READY:
            draft.add(StopSandbox(sandbox.id))
    # A sandbox reads as not ready before its network is gone: what is released next waits for the stop to end.
    stopping = lookup.is_under_way(state, "stop-sandbox")
    if stopping or any(sandbox.state is SandboxState.READY for sandbox in state.seen.sandboxes):
        return draft.plan()
    if not state.torn_down:
        draft.add(TearDown())
        return draft.plan()
    if state.ending is None or not state.ending.gone:
        return draft.plan(finished=True)
    for action in gc.of_gone_pod(state.seen):
        draft.add(action)
    if not state.seen.containers and not state.seen.sandboxes:
        draft.add(Forget())
    return draft.plan(finished=True)


def could_still_start(state: PodState) -> bool:
    """Whether an operation runs that may yet bring up a sandbox, a container or a mount."""
    return any(lookup.is_under_way(state, prefix) for prefix in ("start", "sandbox", "volumes"))


def nothing_runs(state: PodState) -> bool:
    """Whether no container runs nor can come to run."""
    return not lookup.running(state.seen) and not could_still_start(state)


def order(pod: Pod, names: frozenset[str]) -> tuple[frozenset[str], ...]:
    """The containers of these names in groups: each group stops after all before it have."""
    sidecars = [c.name for c in pod.spec.init_containers if lookup.is_sidecar(c, Kind.INIT) and c.name in names]
    first = names - set(sidecars)
    groups = [frozenset({name}) for name in reversed(sidecars)]
    return (first, *groups) if first else tuple(groups)


def _stop(draft: Draft, running: tuple[observed.Container, ...], kill_at: float) -> None:
    state = draft.state
    out_of_time = draft.now >= kill_at
    turn = running if out_of_time else tuple(_may_stop_now(state.pod, running))
    for container in running:
        hook = RunPreStop(container.id, container.name, kill_at)
        if container not in turn:
            # Hooks do not wait for their turn, so that a sidecar can drain while the others end.
            draft.wake(kill_at)
            if container.id not in state.pre_stopped and _has_pre_stop(state.pod, container.name):
                draft.add(hook)
        elif hook.key in state.under_way and not out_of_time:
            draft.wake(kill_at)
        else:
            draft.add(_stopping(state, container, kill_at, now=draft.now))


def _stopping(state: PodState, container: observed.Container, kill_at: float, *, now: float) -> StopContainer:
    return StopContainer(
        container.id,
        container.name,
        max(0, math.ceil(kill_at - now)),
        kill_at,
        StopReason.ENDING,
        f"Stopping container {container.name}",
        hook=container.id not in state.pre_stopped,
    )


def _has_pre_stop(pod: Pod, name: str) -> bool:
    asked = lookup.spec_of(pod, name)
    return asked is not None and asked[0].lifecycle is not None and asked[0].lifecycle.pre_stop is not None


def _may_stop_now(pod: Pod, running: tuple[observed.Container, ...]) -> Iterator[observed.Container]:
    first = next(iter(order(pod, frozenset(container.name for container in running))))
    return (container for container in running if container.name in first)
