"""Choose which running containers to stop while their Pod goes on, and why. No I/O."""

import dataclasses

from pykubelet.decide import labels, resize, restart
from pykubelet.model import observed
from pykubelet.model.actions import Kind, OpKey, StopReason
from pykubelet.model.container import Container, Probe
from pykubelet.model.observed import ContainerState
from pykubelet.model.pod_state import PodState, Verdict

POST_START_ERROR = "PostStartHookError"
"""The Failure.reason of a StartContainer whose container runs but whose postStart hook failed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stop:
    """`grace` in seconds; `message` as the Killing event has it."""

    reason: StopReason
    message: str
    grace: int


def why_stop(state: PodState, container: Container, kind: Kind, seen: observed.Container) -> Stop | None:
    """Why this instance must stop now; None if it may go on. It may be starting still: then only probes count."""
    name = container.name
    grace = state.pod.spec.termination_grace_period_seconds
    what = "Init container" if kind is Kind.INIT else "Container"
    who = f"{what} {name}"
    if seen.state is ContainerState.UNKNOWN:
        return Stop(StopReason.UNKNOWN_STATE, f'{what} is in "unknown" state, try killing it before restart', grace)
    if seen.state is not ContainerState.RUNNING or kind is Kind.EPHEMERAL:
        return None
    failure = state.failures.get(OpKey(f"start/{name}"))
    if failure is not None and failure.reason == POST_START_ERROR and failure.at >= seen.started_at:
        return Stop(StopReason.POST_START_FAILED, "FailedPostStartHook", grace)
    if labels.has_changed(container, seen):
        return Stop(StopReason.CHANGED, f"{who} definition changed, will be restarted", grace)
    if resize.change(state, container) is resize.Change.RESTART:
        return Stop(StopReason.CHANGED, f"Container {name} resize requires restart", grace)
    probed = state.probed.get(seen.id)
    if probed is None:
        return None
    again = ", will be restarted" if restart.allowed(container, pod_policy=state.pod.spec.restart_policy) else ""
    if probed.liveness is Verdict.FAILURE:
        return Stop(
            StopReason.UNHEALTHY, f"{who} failed liveness probe{again}", _grace(container.liveness_probe, grace)
        )
    if probed.startup is Verdict.FAILURE:
        return Stop(StopReason.UNHEALTHY, f"{who} failed startup probe{again}", _grace(container.startup_probe, grace))
    return None


def _grace(probe: Probe | None, otherwise: int) -> int:
    own = probe.termination_grace_period_seconds if probe else None
    return otherwise if own is None else own
