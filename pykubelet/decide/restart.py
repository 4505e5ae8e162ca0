"""Choose whether a container that exited runs again. No I/O.

Source: core/v1 ContainerRestartRule, KEP-5307, KEP-5532.
"""

from pykubelet.decide import lookup
from pykubelet.model import observed
from pykubelet.model.actions import StopReason
from pykubelet.model.container import Container, RestartRule
from pykubelet.model.observed import ContainerState
from pykubelet.model.pod_state import PodState

# Stopped by us to run again: the exit code says nothing, the policy only has to allow restarts at all.
_MEANT_TO_RESTART = frozenset({StopReason.UNHEALTHY, StopReason.UNKNOWN_STATE})


def matching_rule(container: Container, exit_code: int) -> RestartRule | None:
    """The first of a container's own rules that speaks of this exit code."""
    for rule in container.restart_policy_rules:
        if rule.exit_codes is not None:
            listed = exit_code in rule.exit_codes.values
            if listed == (rule.exit_codes.operator == "In"):
                return rule
    return None


def after_exit(container: Container, exit_code: int, *, pod_policy: str) -> bool:
    """Whether it runs again after it exited by itself: by its own rules, else its own policy, else the Pod's."""
    if container.restart_policy is not None and matching_rule(container, exit_code) is not None:
        return True
    match container.restart_policy or pod_policy:
        case "Never":
            return False
        case "OnFailure":
            return exit_code != 0
        case _:
            return True


def allowed(container: Container, *, pod_policy: str) -> bool:
    """Whether a container that we stop because it is unhealthy runs again. Rules do not count: nothing has exited."""
    return (container.restart_policy or pod_policy) != "Never"


def wanted(state: PodState, container: Container, seen: observed.Container | None) -> bool:
    """Whether a regular or init container is to be started, given its newest instance (None: there never was one)."""
    if seen is None:
        return True
    match seen.state:
        case ContainerState.RUNNING | ContainerState.UNKNOWN:
            return False
        case ContainerState.CREATED:
            return not lookup.is_starting(state, container.name)
        case ContainerState.EXITED:
            policy = state.pod.spec.restart_policy
            why = state.stopped_for.get(seen.id)
            if why is StopReason.CHANGED or why is StopReason.RESTART_ALL:
                return True
            if why in _MEANT_TO_RESTART:
                return allowed(container, pod_policy=policy)
            return after_exit(container, seen.exit_code, pod_policy=policy)
