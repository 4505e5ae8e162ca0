"""Which running containers are stopped while their Pod goes on."""

import pytest

from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import health, labels
from pykubelet.decide.health import Stop
from pykubelet.model.actions import Kind, OpKey, StopReason
from pykubelet.model.container import Container, Probe
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.model.observed import Container as Seen
from pykubelet.model.observed import ContainerState, PodRuntime
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.pod_state import Failure, PodState, Probed, Verdict

UID = Uid("u")
PLAIN = Container(name="a", image="i:1")
HURRIED = Container(name="a", image="i:1", liveness_probe=Probe(termination_grace_period_seconds=3))
HOOK_FAILED = {OpKey("start/a"): Failure(health.POST_START_ERROR, "no", 50.0, 1, 60.0)}


def seen(
    how: ContainerState = ContainerState.RUNNING, *, started_at: float = 10.0, made_from: Container = PLAIN
) -> Seen:
    return Seen(
        ContainerId("a-0"),
        "a",
        0,
        UID,
        SandboxId("s"),
        how,
        started_at,
        annotations={labels.HASH: f"{labels.container_hash(made_from):x}"},
        detailed=True,
        started_at=started_at,
    )


def state(policy: str = "Always", **fields: object) -> PodState:
    pod = Pod(metadata=ObjectMeta(name="pod", uid=UID), spec=PodSpec(containers=(PLAIN,), restart_policy=policy))
    return PodState(**{"pod": pod, "seen": PodRuntime(UID, "ns", "pod"), **fields})


def says(**verdicts: Verdict) -> dict[ContainerId, Probed]:
    return {ContainerId("a-0"): Probed(**verdicts)}


LIVENESS, STARTUP = says(liveness=Verdict.FAILURE), says(startup=Verdict.FAILURE)


@pytest.mark.parametrize(
    ("given", "container", "instance", "stop"),
    [
        pytest.param(state(), PLAIN, seen(), None, id="one that nothing is said against goes on"),
        pytest.param(
            state(probed=says(readiness=Verdict.FAILURE)), PLAIN, seen(), None, id="one that is not ready goes on"
        ),
        pytest.param(
            state(probed=LIVENESS),
            PLAIN,
            seen(),
            Stop(StopReason.UNHEALTHY, "Container a failed liveness probe, will be restarted", 30),
            id="one that is not alive",
        ),
        pytest.param(
            state("Never", probed=LIVENESS),
            PLAIN,
            seen(),
            Stop(StopReason.UNHEALTHY, "Container a failed liveness probe", 30),
            id="one that is not alive, for good",
        ),
        pytest.param(
            state(probed=LIVENESS),
            HURRIED,
            seen(),
            Stop(StopReason.UNHEALTHY, "Container a failed liveness probe, will be restarted", 3),
            id="a probe may have a grace of its own",
        ),
        pytest.param(
            state(probed=STARTUP),
            PLAIN,
            seen(),
            Stop(StopReason.UNHEALTHY, "Container a failed startup probe, will be restarted", 30),
            id="one that does not start up",
        ),
        pytest.param(
            state(),
            PLAIN,
            seen(made_from=Container(name="a", image="i:0")),
            Stop(StopReason.CHANGED, "Container a definition changed, will be restarted", 30),
            id="one made from another image",
        ),
        pytest.param(
            state(failures=HOOK_FAILED),
            PLAIN,
            seen(),
            Stop(StopReason.POST_START_FAILED, "FailedPostStartHook", 30),
            id="one whose postStart hook failed",
        ),
        pytest.param(
            state(failures=HOOK_FAILED), PLAIN, seen(started_at=55.0), None, id="that was an earlier instance"
        ),
        pytest.param(
            state(),
            PLAIN,
            seen(ContainerState.UNKNOWN),
            Stop(StopReason.UNKNOWN_STATE, 'Container is in "unknown" state, try killing it before restart', 30),
            id="one of which the runtime does not know if it runs",
        ),
    ],
)
def test_why_stop(given: PodState, container: Container, instance: Seen, stop: Stop | None) -> None:
    assert health.why_stop(given, container, Kind.REGULAR, instance) == stop
