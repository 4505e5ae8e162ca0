"""Collect the actions of one plan, leaving out what is under way or has to wait after a failure. No I/O."""

from pykubelet.model.actions import Action, OpKey, Plan, StopContainer
from pykubelet.model.pod_state import PodState

_SOONER = 0.5
"""Seconds by which a stop must end earlier to take over from the one under way."""


class Draft:
    """A plan in the making, for one state at one moment."""

    def __init__(self, state: PodState, now: float) -> None:
        self.state = state
        self.now = now
        self._actions: dict[OpKey, Action] = {}
        self._wake_at: float | None = None

    def add(self, action: Action) -> bool:
        """Plan the action; False if it is under way, or failed and its time to retry has not come."""
        other = self.state.under_way.get(action.key)
        if other is not None and not _takes_over(action, other):
            return False
        failure = self.state.failures.get(action.key)
        if other is None and failure is not None and failure.retry_at > self.now:
            self.wake(failure.retry_at)
            return False
        self._actions.setdefault(action.key, action)
        return True

    def wake(self, at: float) -> None:
        """Look again at that time, if it is still to come."""
        if at > self.now and (self._wake_at is None or at < self._wake_at):
            self._wake_at = at

    def plan(self, *, finished: bool = False) -> Plan:
        return Plan(tuple(self._actions.values()), self._wake_at, finished)


def _takes_over(action: Action, other: Action) -> bool:
    return (
        isinstance(action, StopContainer)
        and isinstance(other, StopContainer)
        and action.kill_at < other.kill_at - _SOONER
    )
