"""A status is written onto what the API has without taking anything back."""

import datetime as dt

import pytest

from pykubelet.decide import status_merge
from pykubelet.model.container import Container
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.status import ContainerState, ContainerStatus, PodCondition, PodStatus, Running, Terminated

EARLY, LATE = (dt.datetime(2026, 11, 24, hour, tzinfo=dt.UTC) for hour in (10, 11))


def condition(kind: str, status: str = "True", at: dt.datetime = EARLY) -> PodCondition:
    return PodCondition(type=kind, status=status, last_transition_time=at)


def status(state: ContainerState, **more: object) -> PodStatus:
    one = ContainerStatus(
        name="app", ready=False, restart_count=0, image="i", image_id="", state=state, last_state=ContainerState()
    )
    return PodStatus(container_statuses=(one,), **more)


def pod(restart_policy: str) -> Pod:
    return Pod(spec=PodSpec(containers=(Container(name="app"),), restart_policy=restart_policy))


@pytest.mark.parametrize(
    ("wanted", "told", "written"),
    [
        pytest.param(
            (condition("Ready", "False", LATE),),
            (condition("example.com/gate"), condition("Ready", "True")),
            (condition("example.com/gate"), condition("Ready", "False", LATE)),
            id="another's condition stays, ours changes",
        ),
        pytest.param(
            (condition("Ready", "True", LATE),),
            (condition("Ready", "True"),),
            (condition("Ready", "True"),),
            id="a condition that is as before keeps its time",
        ),
        pytest.param(
            (condition("example.com/gate", "False"),),
            (condition("example.com/gate"),),
            (condition("example.com/gate"),),
            id="another's condition is never written",
        ),
        pytest.param(
            (condition("DisruptionTarget", "True", LATE),), (), (), id="a disruption is not told while the Pod runs"
        ),
    ],
)
def test_conditions(
    wanted: tuple[PodCondition, ...], told: tuple[PodCondition, ...], written: tuple[PodCondition, ...]
) -> None:
    merged = status_merge.of(
        Pod(), PodStatus(phase="Running", conditions=wanted), PodStatus(phase="Running", conditions=told)
    )
    assert merged.conditions == written


def test_a_disruption_is_told_with_the_end() -> None:
    told = PodStatus(phase="Running", conditions=(condition("DisruptionTarget", "False"),))
    wanted = PodStatus(phase="Failed", conditions=(condition("DisruptionTarget", "True", LATE),))
    assert status_merge.of(Pod(), wanted, told).conditions == (condition("DisruptionTarget", "True", LATE),)


RUNS = ContainerState(running=Running())


@pytest.mark.parametrize(
    ("policy", "exit_code", "kept"),
    [
        pytest.param("Never", 0, True, id="a container that never restarts stays ended"),
        pytest.param("Never", 1, True, id="so does one that failed"),
        pytest.param("OnFailure", 0, True, id="a success stays one"),
        pytest.param("OnFailure", 1, False, id="a failure may run again"),
        pytest.param("Always", 0, False, id="one that always restarts runs again"),
    ],
)
def test_containers_do_not_come_back_from_the_dead(policy: str, exit_code: int, kept: bool) -> None:
    ended = ContainerState(terminated=Terminated(exit_code=exit_code))
    merged = status_merge.of(pod(policy), status(RUNS), status(ended))
    assert merged.container_statuses[0].state == (ended if kept else RUNS)


def test_an_end_is_for_ever() -> None:
    told = PodStatus(phase="Failed", reason="Evicted", message="no memory", start_time=EARLY, observed_generation=3)
    merged = status_merge.of(Pod(), PodStatus(phase="Running", start_time=LATE, observed_generation=2), told)
    assert merged == told
