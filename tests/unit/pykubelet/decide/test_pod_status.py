"""What is reported of a Pod."""

import dataclasses

import pytest

from nodekit.objects import times
from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import pod_status, preemption
from pykubelet.decide.pod_status import StatusContext
from pykubelet.model.actions import Backoff, Kind, OpKey, StartContainer, StopReason
from pykubelet.model.container import Container, ExecAction, Handler, Lifecycle, Probe
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.model.observed import Container as SeenContainer
from pykubelet.model.observed import ContainerState, PodRuntime, Sandbox, SandboxState
from pykubelet.model.pod import Pod, PodSpec, ReadinessGate
from pykubelet.model.pod_state import Ending, EndingCause, Failure, PodState, Probed, Verdict
from pykubelet.model.status import PodCondition, PodStatus

NOW = 1000.0
UID = Uid("uid-1")
SANDBOX = Sandbox(SandboxId("s0"), UID, "ns", "pod", 0, SandboxState.READY, 1.0, detailed=True, ips=("10.0.0.1",))
DEAD_SANDBOX = dataclasses.replace(SANDBOX, state=SandboxState.NOT_READY)
RUNNING, EXITED = ContainerState.RUNNING, ContainerState.EXITED
CONTEXT = StatusContext(PodStatus(phase="Pending"), host_ips=("192.0.2.1",))


def asked(name: str, **fields: object) -> Container:
    return Container(name=name, image=f"img/{name}:1", **fields)


def pod(*containers: Container, status: PodStatus | None = None, **spec: object) -> Pod:
    return Pod(
        metadata=ObjectMeta(name="pod", namespace="ns", uid=UID, generation=3),
        spec=PodSpec(containers=containers, **spec),
        status=status or PodStatus(phase="Pending"),
    )


def seen(name: str, how: ContainerState = RUNNING, attempt: int = 0, code: int = 0) -> SeenContainer:
    return SeenContainer(
        ContainerId(f"{name}-{attempt}"),
        name,
        attempt,
        UID,
        SANDBOX.id,
        how,
        100.0 + attempt,
        image=f"img/{name}:1",
        image_ref=f"img/{name}@sha256:1",
        detailed=True,
        started_at=100.0 + attempt,
        finished_at=NOW - 1 if how is EXITED else 0.0,
        exit_code=code,
        reason="Completed" if code == 0 else "Error",
    )


def state(of: Pod, *containers: SeenContainer, sandbox: Sandbox | None = SANDBOX, **fields: object) -> PodState:
    runtime = PodRuntime(UID, "ns", "pod", (sandbox,) if sandbox else (), containers)
    return PodState(**{"pod": of, "seen": runtime, "volumes_ready": True, **fields})


def condition(status: PodStatus, type_: str) -> PodCondition:
    return next(one for one in status.conditions if one.type == type_)


A, B = asked("a"), asked("b")
STOPPED = Ending(EndingCause.DELETED, 30, NOW + 30)
EVICTED = Ending(EndingCause.EVICTED, 0, NOW, "Evicted", "The node was low on resource: memory.")


@pytest.mark.parametrize(
    ("given", "phase"),
    [
        pytest.param(state(pod(A), sandbox=None), "Pending", id="a new Pod is pending"),
        pytest.param(state(pod(A), seen("a")), "Running", id="a Pod whose container runs is running"),
        pytest.param(state(pod(A, B), seen("a")), "Pending", id="it is pending until all have started"),
        pytest.param(state(pod(A), seen("a", EXITED, code=1)), "Running", id="one that restarts is running"),
        pytest.param(state(pod(A, restart_policy="Never"), seen("a", EXITED)), "Succeeded", id="exit 0 succeeds"),
        pytest.param(state(pod(A, restart_policy="Never"), seen("a", EXITED, code=1)), "Failed", id="exit 1 fails"),
        pytest.param(
            state(pod(A), seen("a"), ending=EVICTED), "Running", id="an evicted Pod has not failed while it runs"
        ),
        pytest.param(state(pod(A), seen("a", EXITED), ending=EVICTED), "Failed", id="it has failed once nothing runs"),
        pytest.param(
            state(pod(A), seen("a", EXITED), ending=STOPPED), "Succeeded", id="deleted after exit 0 it succeeded"
        ),
        pytest.param(state(pod(A), ending=STOPPED, sandbox=None), "Failed", id="deleted before it started it failed"),
        pytest.param(
            state(pod(A, init_containers=(asked("i"),), restart_policy="Never"), seen("i", EXITED, code=1)),
            "Failed",
            id="an init container that fails for good fails the Pod",
        ),
        pytest.param(
            state(pod(A, status=PodStatus(phase="Succeeded")), sandbox=None),
            "Succeeded",
            id="a terminal phase stays though the runtime knows nothing",
        ),
    ],
)
def test_phase(given: PodState, phase: str) -> None:
    assert pod_status.of(given, CONTEXT, now=NOW).phase == phase


def test_a_running_pod_is_ready_with_all_its_particulars() -> None:
    status = pod_status.of(state(pod(A), seen("a")), CONTEXT, now=NOW)
    (container,) = status.container_statuses
    assert (status.pod_ip, status.host_ip, status.qos_class) == ("10.0.0.1", "192.0.2.1", "BestEffort")
    assert status.observed_generation == 3
    assert status.start_time == times.of(NOW)
    assert {one.type: one.status for one in status.conditions} == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    assert all(one.observed_generation == 3 for one in status.conditions)
    assert (container.ready, container.started, container.restart_count) == (True, True, 0)
    assert (container.container_id, container.image_id) == ("containerd://a-0", "img/a@sha256:1")


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    first = pod_status.of(state(pod(A), seen("a")), CONTEXT, now=NOW)
    later = dataclasses.replace(CONTEXT, previous=first)
    unready = state(
        pod(asked("a", readiness_probe=Probe())),
        seen("a"),
        probed={ContainerId("a-0"): Probed(readiness=Verdict.FAILURE)},
    )
    second = pod_status.of(unready, later, now=NOW + 50)
    assert condition(second, "Initialized").last_transition_time == times.of(NOW)
    ready = condition(second, "Ready")
    assert ready.last_transition_time == times.of(NOW + 50)
    assert (ready.reason, ready.message) == ("ContainersNotReady", "containers with unready status: [a]")


def test_an_exited_container_keeps_its_status_when_it_is_removed() -> None:
    never = pod(A, restart_policy="Never")
    first = pod_status.of(state(never, seen("a", EXITED, code=3)), CONTEXT, now=NOW)
    later = dataclasses.replace(CONTEXT, previous=first)
    second = pod_status.of(state(never, sandbox=None), later, now=NOW + 5)
    assert second.container_statuses == first.container_statuses
    assert second.phase == "Failed"
    assert second.pod_ip == "10.0.0.1"


def test_a_container_that_ran_and_is_gone_shows_a_lost_predecessor() -> None:
    first = pod_status.of(state(pod(A), seen("a")), CONTEXT, now=NOW)
    second = pod_status.of(state(pod(A)), dataclasses.replace(CONTEXT, previous=first), now=NOW)
    (container,) = second.container_statuses
    assert container.last_state.terminated is not None
    assert container.last_state.terminated.reason == "ContainerStatusUnknown"
    assert container.restart_count == 1
    assert second.phase == "Running"


def failed(key: str, reason: str, at: float = NOW - 1) -> dict[OpKey, Failure]:
    return {OpKey(key): Failure(reason, "why", at, 1, NOW + 9)}


HOOK = Lifecycle(post_start=Handler(exec=ExecAction(command=("true",))))


@pytest.mark.parametrize(
    ("given", "reason", "message"),
    [
        pytest.param(state(pod(A), sandbox=None), "ContainerCreating", "", id="at first it is being created"),
        pytest.param(
            state(pod(A, init_containers=(asked("i"),)), seen("i")),
            "PodInitializing",
            "",
            id="init containers come first",
        ),
        pytest.param(
            state(pod(A), failures=failed("image/a", "ErrImagePull")),
            "ErrImagePull",
            "why",
            id="a pull failed just now",
        ),
        pytest.param(
            state(pod(A), failures=failed("image/a", "ErrImagePull", NOW - 9)),
            "ImagePullBackOff",
            'Back-off pulling image "img/a:1": ErrImagePull: why',
            id="a pull failed a while ago",
        ),
        pytest.param(
            state(pod(A), failures=failed("start/a", "CreateContainerConfigError")),
            "CreateContainerConfigError",
            "why",
            id="its configuration does not work out",
        ),
        pytest.param(
            state(pod(A), seen("a", EXITED, 1, 1), seen("a", EXITED, 0, 1), backoffs={"a": Backoff(20.0, NOW - 20)}),
            "CrashLoopBackOff",
            "back-off 20s restarting failed container=a pod=pod_ns(uid-1)",
            id="it crashed again",
        ),
        pytest.param(
            state(
                pod(asked("a", lifecycle=HOOK)),
                seen("a"),
                under_way={OpKey("start/a"): StartContainer("a", Kind.REGULAR, 0, SANDBOX.id)},
            ),
            "ContainerCreating",
            "",
            id="its postStart hook runs",
        ),
    ],
)
def test_waiting(given: PodState, reason: str, message: str) -> None:
    (container,) = pod_status.of(given, CONTEXT, now=NOW).container_statuses
    assert container.state.waiting is not None
    assert (container.state.waiting.reason, container.state.waiting.message) == (reason, message)


def test_a_crash_loop_shows_the_last_exit() -> None:
    crashed = state(pod(A), seen("a", EXITED, 1, 2), backoffs={"a": Backoff(20.0, NOW - 20)})
    (container,) = pod_status.of(crashed, CONTEXT, now=NOW).container_statuses
    assert container.last_state.terminated is not None
    assert (container.last_state.terminated.exit_code, container.restart_count) == (2, 1)


def test_after_a_restart_of_the_kubelet_a_ready_container_stays_ready() -> None:
    probed = pod(asked("a", readiness_probe=Probe(), startup_probe=Probe()))
    first = pod_status.of(state(probed, seen("a"), probed={ContainerId("a-0"): Probed()}), CONTEXT, now=NOW)
    second = pod_status.of(state(probed, seen("a")), dataclasses.replace(CONTEXT, previous=first), now=NOW + 1)
    assert second.container_statuses[0].ready
    assert second == first


def test_readiness_gates_are_named() -> None:
    gated = pod(A, readiness_gates=(ReadinessGate(condition_type="x/y"),))
    ready = condition(pod_status.of(state(gated, seen("a")), CONTEXT, now=NOW), "Ready")
    assert ready.reason == "ReadinessGatesNotReady"
    assert ready.message == 'corresponding condition of pod readiness gate "x/y" does not exist.'


def test_conditions_of_others_stay() -> None:
    other = PodCondition(type="x/y", status="True")
    told = pod(A, readiness_gates=(ReadinessGate(condition_type="x/y"),), status=PodStatus(conditions=(other,)))
    status = pod_status.of(state(told, seen("a")), CONTEXT, now=NOW)
    assert condition(status, "x/y") is other
    assert condition(status, "Ready").status == "True"


def test_an_evicted_pod_says_why() -> None:
    status = pod_status.of(state(pod(A), seen("a", EXITED), ending=EVICTED), CONTEXT, now=NOW)
    assert (status.phase, status.reason, status.message) == ("Failed", "Evicted", EVICTED.message)
    assert condition(status, "DisruptionTarget").reason == "TerminationByKubelet"
    assert condition(status, "Ready").reason == "PodFailed"


def test_a_preempted_pod_says_for_whom() -> None:
    made = pod(A)
    status = pod_status.of(state(made, seen("a", EXITED), ending=preemption.ending(made, now=NOW)), CONTEXT, now=NOW)
    assert (status.reason, status.message) == ("Preempting", "Preempted in order to admit critical pod")
    said = "Pod was preempted by Kubelet to accommodate a critical pod."
    assert condition(status, "DisruptionTarget").message == said


def test_a_rejected_pod_says_why() -> None:
    rejected = Ending(EndingCause.REJECTED, 1, NOW, "OutOfcpu", "Pod was rejected: no cpu")
    status = pod_status.of(state(pod(A), sandbox=None, ending=rejected), CONTEXT, now=NOW)
    assert (status.phase, status.reason, status.message) == ("Failed", "OutOfcpu", "Pod was rejected: no cpu")
    assert status.container_statuses == ()


def test_a_sandbox_that_died_is_told() -> None:
    status = pod_status.of(state(pod(A), sandbox=DEAD_SANDBOX), CONTEXT, now=NOW)
    sandbox = condition(status, "PodReadyToStartContainers")
    assert (sandbox.status, sandbox.message) == ("False", "pod sandbox is not ready")


def test_a_container_stopped_to_start_again_does_not_look_as_if_it_had_ended() -> None:
    stopped = {ContainerId("a-0"): StopReason.UNHEALTHY}
    given = state(pod(A, restart_policy="OnFailure"), seen("a", EXITED, code=0), stopped_for=stopped)
    running = PodStatus(phase="Running")
    status = pod_status.of(given, dataclasses.replace(CONTEXT, previous=running), now=NOW)
    (container,) = status.container_statuses
    assert container.state.waiting is not None
    assert container.last_state.terminated is not None
    assert status.phase == "Running"


def test_a_container_that_has_not_started_yet_is_no_restart() -> None:
    """Who waits for a restart finds when it began, not when the one before it did."""
    dead = seen("a", EXITED, code=1)
    before = pod_status.of(state(pod(A), dead), CONTEXT, now=NOW)
    reported = dataclasses.replace(CONTEXT, previous=before)
    made = dataclasses.replace(seen("a", ContainerState.CREATED, attempt=1), started_at=0.0)
    (container,) = pod_status.of(state(pod(A), made, dead), reported, now=NOW).container_statuses
    assert container.restart_count == 0
    (container,) = pod_status.of(state(pod(A), seen("a", attempt=1), dead), reported, now=NOW).container_statuses
    assert container.restart_count == 1
