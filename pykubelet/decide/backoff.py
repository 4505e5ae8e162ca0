"""Choose how long to wait before a container restarts or an operation is tried again. No I/O.

Source: k8s.io/client-go/util/flowcontrol Backoff as the genuine kubelet uses it; KEP-4603 for the settings.
"""

from pykubelet.decide import lookup
from pykubelet.model import observed
from pykubelet.model.actions import Backoff, OpKey, StopReason
from pykubelet.model.observed import ContainerState
from pykubelet.model.pod_state import PodState

FIRST_DELAY = 10.0
"""Seconds before the second restart; the first one is immediate."""


def exit_counted_from(state: PodState, seen: observed.Container) -> float | None:
    """The exit from which a dead container's delay counts (epoch seconds); None: there is nothing to wait for.

    A container that we stopped for its health counts from the exit before: its own time to die is no crash.
    """
    match state.stopped_for.get(seen.id):
        case StopReason.CHANGED | StopReason.RESTART_ALL:
            return None
        case StopReason.UNHEALTHY | StopReason.UNKNOWN_STATE:
            older = (c for c in lookup.named(state.seen, seen.name) if c.attempt < seen.attempt)
            exits = (c.finished_at for c in older if c.state is ContainerState.EXITED)
            return next(exits, None)
        case _:
            return seen.finished_at if seen.state is ContainerState.EXITED else None


def ready_at(previous: Backoff | None, exited_at: float, *, attempt: int, longest: float) -> float:
    """When start number `attempt` may happen after that exit (epoch seconds; not later than `exited_at`: at once)."""
    if previous is None or previous.attempt >= attempt or _is_over(previous, exited_at, longest):
        return exited_at
    return exited_at + min(previous.delay, longest)


def next_delay(previous: Backoff | None, exited_at: float, *, attempt: int, now: float, longest: float) -> Backoff:
    """The delay to remember for the next exit when start number `attempt` happens now.

    It is twice the last one, up to `longest`, and the first again after a calm; a start that is tried again changes
    nothing.
    """
    if previous is None or _is_over(previous, exited_at, longest):
        return Backoff(min(FIRST_DELAY, longest), now, attempt)
    if previous.attempt >= attempt:
        return previous
    return Backoff(min(previous.delay * 2, longest), now, attempt)


def _is_over(previous: Backoff, exited_at: float, longest: float) -> bool:
    # It ran for twice the longest delay (10 minutes by default) since its last start.
    return exited_at - previous.since > 2 * longest


def retry_delay(key: OpKey, count: int) -> float:
    """Seconds to wait after the `count`-th failure in a row (from 1) of an operation."""
    doubled = 2.0 ** min(count - 1, 16)
    match key.partition("/")[0]:
        case "image" | "image-volume":
            return min(10 * doubled, 300.0)
        case "volumes":
            return min(0.5 * doubled, 122.0)
        case _:
            return min(doubled, 10.0)
