"""Choose which init containers and sidecars to start next, and say whether the regular containers may. No I/O.

Source: KEP-753. Init containers run to their end one after the other; a sidecar (an init container that restarts
always) only has to have started before the next one begins, and is kept running from then on.
"""

import dataclasses

from pykubelet.decide import lookup, restart
from pykubelet.model.actions import Kind
from pykubelet.model.container import Container
from pykubelet.model.ids import SandboxId
from pykubelet.model.observed import ContainerState
from pykubelet.model.pod_state import PodState, Verdict


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """`done`: regular containers may start. `failed`: they never will. `start`: what to (re)start, in order."""

    done: bool = False
    failed: bool = False
    start: tuple[Container, ...] = ()


def of(state: PodState, sandbox: SandboxId) -> Progress:
    """How far initialisation has come in this sandbox: in a new one it begins anew."""
    init = state.pod.spec.init_containers
    passed = _passed(state, sandbox)
    start: list[Container] = []
    for index, container in enumerate(init):
        seen = lookup.newest(state.seen, container.name, sandbox=sandbox)
        if index < passed:
            # A completed one may have been removed; only sidecars are kept alive.
            if lookup.is_sidecar(container, Kind.INIT) and restart.wanted(state, container, seen):
                start.append(container)
            continue
        if lookup.is_sidecar(container, Kind.INIT):
            if restart.wanted(state, container, seen):
                return Progress(start=(*start, container))
            if not has_started(state, container, sandbox):
                return Progress(start=tuple(start))
        elif seen is None or seen.state is not ContainerState.EXITED:
            wanted = restart.wanted(state, container, seen)
            return Progress(start=(*start, container) if wanted else tuple(start))
        elif seen.exit_code != 0:
            if not restart.wanted(state, container, seen):
                return Progress(failed=True)
            return Progress(start=(*start, container))
    return Progress(done=True, start=tuple(start))


def has_started(state: PodState, container: Container, sandbox: SandboxId) -> bool:
    """Whether a sidecar runs, its postStart hook has ended and its startup probe has succeeded."""
    seen = lookup.newest(state.seen, container.name, sandbox=sandbox)
    if seen is None or seen.state is not ContainerState.RUNNING or lookup.is_starting(state, container.name):
        return False
    if container.startup_probe is None:
        return True
    probed = state.probed.get(seen.id)
    return probed is not None and probed.startup is Verdict.SUCCESS


def _passed(state: PodState, sandbox: SandboxId) -> int:
    """How many init containers are behind us for sure, because something after them was created in this sandbox."""
    there = {container.name for container in state.seen.containers if container.sandbox_id == sandbox}
    if any(container.name in there for container in state.pod.spec.containers):
        return len(state.pod.spec.init_containers)
    last = 0
    for index, container in enumerate(state.pod.spec.init_containers):
        if container.name in there:
            last = index
    return last
