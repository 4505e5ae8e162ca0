"""Whether what is known of a Pod already shows what an action did to it, so that asking would tell nothing. No I/O."""

from typing import assert_never

from pykubelet.decide import lookup
from pykubelet.model import actions
from pykubelet.model.actions import Action
from pykubelet.model.observed import ContainerState, PodRuntime, SandboxState

_STARTED = (ContainerState.RUNNING, ContainerState.EXITED)


def are_shown(action: Action, seen: PodRuntime | None) -> bool:
    """Of an action that succeeded. A runtime that sends events tells of most things before the call has ended."""
    match action:
        case (
            actions.PrepareVolumes()
            | actions.EnsureImage()
            | actions.AssignDevices()
            | actions.RunPreStop()
            | actions.TearDown()
            | actions.Forget()
        ):
            return True  # the runtime's sandboxes and containers have no part in it
        case actions.CreateSandbox():
            newest = seen.sandboxes[0] if seen and seen.sandboxes else None
            return newest is not None and newest.attempt == action.attempt and newest.detailed
        case actions.StartContainer():
            started = lookup.newest(seen, action.name, sandbox=action.sandbox) if seen else None
            return (
                started is not None
                and started.attempt == action.attempt
                and started.detailed
                and started.state in _STARTED
            )
        case actions.StopContainer():
            return seen is not None and all(
                one.state is ContainerState.EXITED and one.detailed
                for one in seen.containers
                if one.id == action.container
            )
        case actions.RemoveContainer():
            return seen is not None and all(one.id != action.container for one in seen.containers)
        case actions.StopSandbox():
            return seen is not None and all(
                one.state is SandboxState.NOT_READY for one in seen.sandboxes if one.id == action.sandbox
            )
        case actions.RemoveSandbox():
            return seen is not None and all(one.id != action.sandbox for one in seen.sandboxes)
        case actions.ResizeContainer():
            return False  # no event tells of it
        case _:
            assert_never(action)
