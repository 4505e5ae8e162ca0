"""The next actions of one Pod."""

import dataclasses

import pytest

from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import pod_actions
from pykubelet.model.actions import (
    CreateSandbox,
    EnsureImage,
    Forget,
    Kind,
    OpKey,
    PrepareVolumes,
    RemoveContainer,
    StartContainer,
    StopContainer,
    StopReason,
    StopSandbox,
    TearDown,
)
from pykubelet.model.container import Container
from pykubelet.model.ids import ContainerId, ImageRef, SandboxId, Uid
from pykubelet.model.observed import Container as SeenContainer
from pykubelet.model.observed import ContainerState, PodRuntime, Sandbox, SandboxState
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.pod_state import Ending, EndingCause, ImageState, PodState

NOW = 1000.0
UID = Uid("uid-1")
SANDBOX = Sandbox(SandboxId("s0"), UID, "ns", "pod", 0, SandboxState.READY, 1.0, detailed=True, ips=("10.0.0.1",))


def pod(*containers: Container, init: tuple[Container, ...] = (), policy: str = "Always") -> Pod:
    spec = PodSpec(containers=containers, init_containers=init, restart_policy=policy)
    return Pod(metadata=ObjectMeta(name="pod", namespace="ns", uid=UID), spec=spec)


def asked(name: str, **fields: object) -> Container:
    return Container(name=name, image=f"img/{name}:1", image_pull_policy="IfNotPresent", **fields)


def seen(name: str, state: ContainerState = ContainerState.RUNNING, attempt: int = 0, code: int = 0) -> SeenContainer:
    at = 100.0 + attempt
    return SeenContainer(
        ContainerId(f"{name}-{attempt}"),
        name,
        attempt,
        UID,
        SANDBOX.id,
        state,
        at,
        detailed=True,
        started_at=at,
        finished_at=NOW - 1 if state is ContainerState.EXITED else 0.0,
        exit_code=code,
    )


def state(of: Pod, *containers: SeenContainer, sandbox: Sandbox | None = SANDBOX, **fields: object) -> PodState:
    names = [c.name for c in (*of.spec.init_containers, *of.spec.containers)]
    images = {name: ImageState("sha256:x", attempt) for name in names for attempt in (0,)}
    runtime = PodRuntime(UID, "ns", "pod", (sandbox,) if sandbox else (), containers)
    return PodState(**{"pod": of, "seen": runtime, "volumes_ready": True, "images": images, **fields})


def test_a_new_pod_gets_volumes_sandbox_and_images_at_once() -> None:
    new = state(pod(asked("a"), init=(asked("i"),)), sandbox=None, volumes_ready=False, images={})
    assert pod_actions.of(new, now=NOW).actions == (
        PrepareVolumes(),
        CreateSandbox(0),
        EnsureImage(ImageRef("img/i:1"), "IfNotPresent", "i"),
        EnsureImage(ImageRef("img/a:1"), "IfNotPresent", "a"),
    )


def test_nothing_is_done_for_a_pod_that_admission_has_not_seen() -> None:
    assert pod_actions.of(state(pod(asked("a")), admitted=False), now=NOW).actions == ()


EXITED = ContainerState.EXITED
A, B, INIT, SIDE = asked("a"), asked("b"), asked("i"), asked("s", restart_policy="Always")
ENDING = Ending(EndingCause.DELETED, 30, NOW + 30)


def start(name: str, kind: Kind = Kind.REGULAR, attempt: int = 0) -> StartContainer:
    return StartContainer(name, kind, attempt, SANDBOX.id)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        pytest.param(state(pod(A, B)), [start("a")], id="regular containers start one after the other"),
        pytest.param(state(pod(A, B), seen("a")), [start("b")], id="the second starts when the first has"),
        pytest.param(state(pod(A, init=(INIT,))), [start("i", Kind.INIT)], id="an init container goes first"),
        pytest.param(
            state(pod(A, init=(INIT,)), seen("i")), [], id="regular containers wait for a running init container"
        ),
        pytest.param(
            state(pod(A, init=(INIT,)), seen("i", EXITED)), [start("a")], id="a completed init container lets go on"
        ),
        pytest.param(state(pod(A, init=(SIDE,)), seen("s")), [start("a")], id="a running sidecar lets go on"),
        pytest.param(
            state(pod(A, policy="Never"), seen("a", EXITED, code=1)),
            [StopSandbox(SANDBOX.id)],
            id="a failed container with policy Never ends the Pod",
        ),
        pytest.param(
            state(pod(A), seen("a"), ending=ENDING),
            [StopContainer(ContainerId("a-0"), "a", 30, NOW + 30, StopReason.ENDING, "Stopping container a")],
            id="a deleted Pod's container is stopped with the grace that is left",
        ),
        pytest.param(
            state(pod(A, init=(SIDE,)), seen("a"), seen("s"), ending=ENDING),
            [StopContainer(ContainerId("a-0"), "a", 30, NOW + 30, StopReason.ENDING, "Stopping container a")],
            id="a sidecar stops after the regular containers",
        ),
        pytest.param(
            state(pod(A), seen("a", EXITED), ending=ENDING),
            [StopSandbox(SANDBOX.id)],
            id="when all have stopped the sandbox is",
        ),
        pytest.param(
            state(
                pod(A),
                seen("a", EXITED),
                ending=ENDING,
                sandbox=dataclasses.replace(SANDBOX, state=SandboxState.NOT_READY),
            ),
            [TearDown()],
            id="a stopped Pod's volumes are torn down",
        ),
        pytest.param(
            state(pod(A), ending=dataclasses.replace(ENDING, gone=True), sandbox=None, torn_down=True),
            [Forget()],
            id="a Pod that is gone from API and runtime is forgotten",
        ),
        pytest.param(
            state(pod(A), seen("a", attempt=2), seen("a", EXITED, 1), seen("a", EXITED, 0)),
            [RemoveContainer(ContainerId("a-0"))],
            id="one dead predecessor is kept",
        ),
        pytest.param(
            state(pod(A), under_way={OpKey("start/a"): start("a")}), [], id="what is under way is not started again"
        ),
    ],
)
def test_next_actions(given: PodState, wanted: list[object]) -> None:
    assert list(pod_actions.of(given, now=NOW).actions) == wanted
