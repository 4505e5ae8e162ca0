"""When the runtime need not be asked again after an action: only if what it did is already known."""

import dataclasses

import pytest

from pykubelet.decide import outcomes
from pykubelet.model import actions
from pykubelet.model.actions import Actuated, Kind
from pykubelet.model.container import ResourceRequirements
from pykubelet.model.ids import ContainerId, ImageRef, SandboxId, Uid
from pykubelet.model.observed import Container, ContainerState, PodRuntime, Sandbox, SandboxState

SANDBOX = SandboxId("s1")
CONTAINER = ContainerId("c1")


def runtime(
    *,
    attempt: int = 0,
    state: ContainerState | None = ContainerState.RUNNING,
    sandbox: SandboxState | None = SandboxState.READY,
    detailed: bool = True,
) -> PodRuntime:
    uid = Uid("u")
    box = Sandbox(SANDBOX, uid, "default", "web", attempt, sandbox or SandboxState.READY, 1.0, detailed=detailed)
    container = Container(CONTAINER, "main", attempt, uid, SANDBOX, state or ContainerState.RUNNING, 1.0)
    container = dataclasses.replace(container, detailed=detailed)
    return PodRuntime(
        uid, "default", "web", (box,) if sandbox is not None else (), (container,) if state is not None else ()
    )


CREATE = actions.CreateSandbox(0)
START = actions.StartContainer("main", Kind.REGULAR, 0, SANDBOX)
STOP = actions.StopContainer(CONTAINER, "main", 30, 31.0, actions.StopReason.ENDING, "")
RESIZE = actions.ResizeContainer(CONTAINER, "main", Actuated(ResourceRequirements()))


@pytest.mark.parametrize(
    ("action", "seen", "shown"),
    [
        pytest.param(actions.PrepareVolumes(), None, True, id="volumes are no matter of the runtime's"),
        pytest.param(actions.EnsureImage(ImageRef("web:1"), ""), None, True, id="nor are images"),
        pytest.param(actions.TearDown(), None, True, id="nor is tearing down"),
        pytest.param(CREATE, None, False, id="a sandbox nobody has told of is asked for"),
        pytest.param(CREATE, runtime(), True, id="a sandbox with its addresses is known"),
        pytest.param(CREATE, runtime(detailed=False), False, id="one without addresses is asked for"),
        pytest.param(actions.CreateSandbox(1), runtime(), False, id="an older sandbox is not the new one"),
        pytest.param(START, runtime(state=None), False, id="a container nobody has told of is asked for"),
        pytest.param(START, runtime(state=ContainerState.CREATED), False, id="created is not started"),
        pytest.param(START, runtime(), True, id="a running container has been started"),
        pytest.param(START, runtime(state=ContainerState.EXITED), True, id="so has one that is over already"),
        pytest.param(START, runtime(detailed=False), False, id="a bare list does not say when it started"),
        pytest.param(
            dataclasses.replace(START, attempt=1), runtime(), False, id="the run before is not the one that was started"
        ),
        pytest.param(STOP, runtime(), False, id="a container still shown running is asked for"),
        pytest.param(STOP, runtime(state=ContainerState.EXITED), True, id="its exit is known"),
        pytest.param(
            STOP, runtime(state=ContainerState.EXITED, detailed=False), False, id="an exit without its code is not"
        ),
        pytest.param(STOP, None, False, id="nothing known is not nothing there"),
        pytest.param(
            actions.RemoveContainer(CONTAINER), runtime(), False, id="a container still shown was not removed"
        ),
        pytest.param(actions.RemoveContainer(CONTAINER), runtime(state=None), True, id="it is gone"),
        pytest.param(actions.StopSandbox(SANDBOX), runtime(), False, id="a sandbox still shown ready is asked for"),
        pytest.param(
            actions.StopSandbox(SANDBOX), runtime(sandbox=SandboxState.NOT_READY), True, id="it is not ready any more"
        ),
        pytest.param(actions.RemoveSandbox(SANDBOX), runtime(), False, id="a sandbox still shown was not removed"),
        pytest.param(actions.RemoveSandbox(SANDBOX), runtime(sandbox=None), True, id="the sandbox is gone"),
        pytest.param(RESIZE, runtime(), False, id="no event tells of other resources"),
    ],
)
def test_what_is_shown(action: actions.Action, seen: PodRuntime | None, shown: bool) -> None:
    assert outcomes.are_shown(action, seen) is shown
