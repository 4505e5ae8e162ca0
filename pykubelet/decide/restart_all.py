"""Decide when and how all containers of a Pod start over in its sandbox, because one of them asked for it by its exit.

No I/O. Source: KEP-5532. Everything is stopped and removed, the container whose exit asked for it last: as long as it
is there the reset goes on; afterwards the Pod starts as a new one does, from its first init container.
"""

from pykubelet.decide import lookup, restart
from pykubelet.decide.draft import Draft
from pykubelet.model import observed
from pykubelet.model.actions import RemoveContainer, StopContainer, StopReason
from pykubelet.model.container import Container
from pykubelet.model.observed import ContainerState
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import PodState

ACTION = "RestartAllContainers"
REASON = "RestartingAllContainers"
MESSAGE = "The container is removed because RestartAllContainers in place"


def may_happen(pod: Pod) -> bool:
    """Whether any container of the Pod could ask for it."""
    return any(rule.action == ACTION for container in _containers(pod) for rule in container.restart_policy_rules)


def sources(state: PodState) -> tuple[observed.Container, ...]:
    """The containers whose last exit asks for it."""
    found = []
    for container in _containers(state.pod):
        seen = lookup.newest(state.seen, container.name)
        if seen is not None and seen.state is ContainerState.EXITED and _asks(container, seen.exit_code):
            found.append(seen)
    return tuple(found)


def reset(draft: Draft) -> bool:
    """Plan the next step of a reset; False if there is none to do."""
    asking = sources(draft.state)
    if not asking:
        return False
    running = [seen for seen in lookup.running(draft.state.seen) if _is_reset(draft.state.pod, seen.name)]
    for seen in running:
        draft.add(StopContainer(seen.id, seen.name, 0, draft.now, StopReason.RESTART_ALL, "killing"))
    if running or lookup.is_under_way(draft.state, "start"):
        return True
    others = [
        seen for seen in draft.state.seen.containers if seen not in asking and _is_reset(draft.state.pod, seen.name)
    ]
    for seen in others or asking:
        draft.add(RemoveContainer(seen.id))
    return True


def _asks(container: Container, exit_code: int) -> bool:
    rule = restart.matching_rule(container, exit_code)
    return container.restart_policy is not None and rule is not None and rule.action == ACTION


def _is_reset(pod: Pod, name: str) -> bool:
    # Ephemeral containers are started once, and stay as they are.
    return any(container.name == name for container in _containers(pod))


def _containers(pod: Pod) -> tuple[Container, ...]:
    return (*pod.spec.init_containers, *pod.spec.containers)
