"""Whether and when a container runs again, and what is removed after it."""

import dataclasses

import pytest

from pykubelet.decide import backoff, gc, labels, launch, restart
from pykubelet.model.actions import Backoff, Kind, OpKey, RemoveContainer, RemoveSandbox
from pykubelet.model.container import Container, ExitCodes, RestartRule
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.model.observed import Container as Seen
from pykubelet.model.observed import ContainerState, PodRuntime, Sandbox, SandboxState
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.pod_state import PodState

ON_42 = RestartRule(action="Restart", exit_codes=ExitCodes(operator="In", values=(42,)))
NOT_ON_42 = RestartRule(action="Restart", exit_codes=ExitCodes(operator="NotIn", values=(42,)))


@pytest.mark.parametrize(
    ("own", "rules", "pods", "code", "again"),
    [
        pytest.param(None, (), "Always", 0, True, id="Always restarts after success"),
        pytest.param(None, (), "OnFailure", 0, False, id="OnFailure lets success be"),
        pytest.param(None, (), "OnFailure", 1, True, id="OnFailure restarts after failure"),
        pytest.param(None, (), "Never", 1, False, id="Never lets failure be"),
        pytest.param("Always", (), "Never", 0, True, id="a container's own policy goes before the Pod's"),
        pytest.param("Never", (), "Always", 1, False, id="also when it is stricter"),
        pytest.param("Never", (ON_42,), "Never", 42, True, id="a rule for the exit code goes before the policy"),
        pytest.param("Never", (ON_42,), "Never", 1, False, id="another exit code falls back to the policy"),
        pytest.param("Never", (NOT_ON_42,), "Never", 1, True, id="a rule for all exit codes but one"),
        pytest.param(None, (ON_42,), "Never", 42, False, id="rules need a policy of the container's own"),
    ],
)
def test_restart_after_exit(own: str | None, rules: tuple[RestartRule, ...], pods: str, code: int, again: bool) -> None:
    container = Container(name="a", restart_policy=own, restart_policy_rules=rules)
    assert restart.after_exit(container, code, pod_policy=pods) is again


@pytest.mark.parametrize(
    ("previous", "exited_at", "attempt", "ready_at", "delay"),
    [
        pytest.param(None, 100.0, 1, 100.0, 10.0, id="the first restart is at once"),
        pytest.param(Backoff(10.0, 90.0, 1), 100.0, 2, 110.0, 20.0, id="the second waits for ten seconds"),
        pytest.param(Backoff(160.0, 90.0, 5), 100.0, 6, 260.0, 300.0, id="the delay stops doubling at the longest"),
        pytest.param(
            Backoff(300.0, 90.0, 6), 691.0, 7, 691.0, 10.0, id="after ten minutes of running it starts afresh"
        ),
        pytest.param(Backoff(40.0, 105.0, 3), 100.0, 3, 100.0, 40.0, id="the same start tried again waits for nothing"),
    ],
)
def test_crash_loop(previous: Backoff | None, exited_at: float, attempt: int, ready_at: float, delay: float) -> None:
    assert backoff.ready_at(previous, exited_at, attempt=attempt, longest=300) == ready_at
    assert backoff.next_delay(previous, exited_at, attempt=attempt, now=ready_at, longest=300).delay == delay


@pytest.mark.parametrize(
    ("image", "ready_at", "delay"),
    [
        pytest.param("old:1", 400.0, 300.0, id="the same image waits on"),
        pytest.param("new:1", 0.0, 10.0, id="another one starts at once, and afresh"),
    ],
)
def test_a_new_image_has_not_crashed_yet(image: str, ready_at: float, delay: float) -> None:
    made_from = f"{labels.container_hash(Container(name='a', image='old:1')):x}"
    dead = dataclasses.replace(
        seen("a", 5, ContainerState.EXITED), finished_at=100.0, annotations={labels.HASH: made_from}
    )
    wanted = Container(name="a", image=image)
    state = PodState(
        pod=Pod(spec=PodSpec(containers=(wanted,))),
        seen=PodRuntime(Uid("u"), "ns", "pod", (), (dead,)),
        backoffs={"a": Backoff(300.0, 90.0, 5)},
    )
    found = launch.candidate(state, wanted, Kind.REGULAR, 150.0)
    assert found.ready_at == ready_at
    assert found.backoff is not None
    assert (found.backoff.delay, found.attempt) == (delay, 6)


@pytest.mark.parametrize(
    ("key", "delays"),
    [
        pytest.param("image/a", [10, 20, 40, 80, 160, 300, 300], id="pulls as a stock node spaces them"),
        pytest.param("volumes", [0.5, 1, 2, 4], id="mounts soon"),
        pytest.param("start/a", [1, 2, 4, 8, 10, 10], id="starts within ten seconds"),
    ],
)
def test_retry_delays(key: str, delays: list[float]) -> None:
    assert [backoff.retry_delay(OpKey(key), count) for count in range(1, len(delays) + 1)] == delays


def seen(name: str, attempt: int, how: ContainerState, sandbox: str = "s1") -> Seen:
    return Seen(ContainerId(f"{name}{attempt}"), name, attempt, Uid("u"), SandboxId(sandbox), how, float(attempt))


def sandbox(name: str, state: SandboxState) -> Sandbox:
    return Sandbox(SandboxId(name), Uid("u"), "ns", "pod", 0, state, 0.0)


EXITED, RUNNING, CREATED = ContainerState.EXITED, ContainerState.RUNNING, ContainerState.CREATED


def test_one_dead_predecessor_stays_and_what_was_never_run_goes() -> None:
    containers = (seen("a", 4, RUNNING), seen("a", 3, CREATED), seen("a", 2, EXITED), seen("a", 1, EXITED))
    runtime = PodRuntime(Uid("u"), "ns", "pod", (), containers)
    assert list(gc.of_running_pod(runtime)) == [RemoveContainer(ContainerId("a3")), RemoveContainer(ContainerId("a1"))]


def test_an_old_sandbox_goes_when_it_is_empty() -> None:
    sandboxes = (
        sandbox("s3", SandboxState.READY),
        sandbox("s2", SandboxState.NOT_READY),
        sandbox("s1", SandboxState.NOT_READY),
    )
    runtime = PodRuntime(Uid("u"), "ns", "pod", sandboxes, (seen("a", 0, EXITED, "s2"),))
    assert list(gc.of_running_pod(runtime)) == [RemoveSandbox(SandboxId("s1"))]
