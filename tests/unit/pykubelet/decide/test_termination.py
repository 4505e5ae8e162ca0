"""In which order a Pod's containers stop, and when their preStop hooks run."""

import pytest

from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import ending, pod_actions, termination
from pykubelet.model.actions import Action, RunPreStop, StopContainer, StopReason, StopSandbox, TearDown
from pykubelet.model.container import Container, Handler, Lifecycle, SleepAction
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.model.observed import Container as Seen
from pykubelet.model.observed import ContainerState, PodRuntime, Sandbox, SandboxState
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.pod_state import Ending, EndingCause, PodState

NOW = 1000.0
UID = Uid("u")
HOOK = Lifecycle(pre_stop=Handler(sleep=SleepAction(seconds=5)))
ENDING = Ending(EndingCause.DELETED, 30, NOW + 30)
POD = Pod(
    metadata=ObjectMeta(name="pod", namespace="ns", uid=UID),
    spec=PodSpec(
        init_containers=(
            Container(name="s1", restart_policy="Always"),
            Container(name="s2", restart_policy="Always", lifecycle=HOOK),
        ),
        containers=(Container(name="a"), Container(name="b")),
    ),
)


def state(*running: str, **fields: object) -> PodState:
    containers = tuple(
        Seen(ContainerId(name), name, 0, UID, SandboxId("s"), ContainerState.RUNNING, 1.0, detailed=True)
        for name in running
    )
    return PodState(**{"pod": POD, "seen": PodRuntime(UID, "ns", "pod", (), containers), "ending": ENDING, **fields})


def stop(name: str, *, hook: bool = True, grace: int = 30) -> StopContainer:
    kill_at = NOW + 30
    return StopContainer(ContainerId(name), name, grace, kill_at, StopReason.ENDING, f"Stopping container {name}", hook)


PRE_STOP = RunPreStop(ContainerId("s2"), "s2", NOW + 30)


@pytest.mark.parametrize(
    ("given", "now", "wanted"),
    [
        pytest.param(
            state("a", "b", "s1", "s2"),
            NOW,
            [stop("a"), stop("b"), PRE_STOP],
            id="regular containers stop, a sidecar's hook runs already",
        ),
        pytest.param(
            state("s1", "s2", pre_stopped=frozenset({ContainerId("s2")})),
            NOW,
            [stop("s2", hook=False)],
            id="then the last sidecar, whose hook has run",
        ),
        pytest.param(
            state("s1", "s2", under_way={PRE_STOP.key: PRE_STOP}, pre_stopped=frozenset({ContainerId("s2")})),
            NOW,
            [],
            id="a sidecar is not stopped while its hook runs",
        ),
        pytest.param(state("s1"), NOW, [stop("s1")], id="then the one before it"),
        pytest.param(
            state("a", "s1", "s2", pre_stopped=frozenset({ContainerId("s2")})),
            NOW + 30,
            [stop("a", grace=0), stop("s1", grace=0), stop("s2", hook=False, grace=0)],
            id="when time is up all are stopped",
        ),
    ],
)
def test_order(given: PodState, now: float, wanted: list[Action]) -> None:
    assert list(pod_actions.of(given, now=now).actions) == wanted


@pytest.mark.parametrize(
    ("under_way", "wanted"),
    [
        pytest.param((StopSandbox(SandboxId("s")),), [], id="while its sandbox stops nothing is released"),
        pytest.param((), [TearDown()], id="once its sandbox has stopped it is torn down"),
    ],
)
def test_release(under_way: tuple[Action, ...], wanted: list[Action]) -> None:
    seen = PodRuntime(
        UID, "ns", "pod", (Sandbox(SandboxId("s"), UID, "ns", "pod", 0, SandboxState.NOT_READY, 1.0),), ()
    )
    given = state(seen=seen, under_way={action.key: action for action in under_way})
    assert list(pod_actions.of(given, now=NOW).actions) == wanted


def test_a_shorter_grace_takes_over() -> None:
    under_way = stop("a")
    hurried = Ending(EndingCause.DELETED, 5, NOW + 5)
    (action,) = pod_actions.of(state("a", ending=hurried, under_way={under_way.key: under_way}), now=NOW).actions
    assert isinstance(action, StopContainer)
    assert action.kill_at == NOW + 5
    later = pod_actions.of(state("a", under_way={under_way.key: under_way}), now=NOW + 10)
    assert later.actions == ()


def test_groups() -> None:
    groups = termination.order(POD, frozenset({"a", "s1", "s2"}))
    assert groups == (frozenset({"a"}), frozenset({"s2"}), frozenset({"s1"}))


def test_an_ending_only_gets_nearer() -> None:
    assert ending.sooner(ENDING, 60, now=NOW) == ENDING
    assert ending.sooner(ENDING, 5, now=NOW + 10).kill_at == NOW + 15
