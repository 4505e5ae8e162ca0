"""What the API is told of at once, and what may wait for more."""

import datetime as dt
from typing import Any

import msgspec
import pytest

from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import urgency
from pykubelet.model.pod import Pod
from pykubelet.model.status import (
    IP,
    ContainerState,
    ContainerStatus,
    PodCondition,
    PodStatus,
    Running,
    Terminated,
    Waiting,
)

NOW = dt.datetime(2026, 11, 27, tzinfo=dt.UTC)
CREATING = ContainerState(waiting=Waiting(reason="ContainerCreating"))
RUNNING = ContainerState(running=Running())
ENDED = ContainerState(terminated=Terminated(exit_code=0))


def status(state: ContainerState = CREATING, *, phase: str = "Pending", **changes: Any) -> PodStatus:
    container = ContainerStatus(
        name="main",
        ready=changes.pop("ready", False),
        restart_count=0,
        image="web:1",
        image_id=changes.pop("image_id", ""),
        state=state,
        last_state=ContainerState(),
        container_id=changes.pop("container_id", ""),
    )
    return PodStatus(phase=phase, container_statuses=(container,), **changes)


def condition(kind: str, value: str) -> tuple[PodCondition, ...]:
    return (PodCondition(type=kind, status=value),)


@pytest.mark.parametrize(
    ("before", "now", "waits"),
    [
        pytest.param(status(), status(pod_ip="198.19.1.2", pod_ips=(IP(ip="198.19.1.2"),)), True, id="its address"),
        pytest.param(
            status(conditions=condition("PodReadyToStartContainers", "False")),
            status(conditions=condition("PodReadyToStartContainers", "True")),
            True,
            id="its sandbox",
        ),
        pytest.param(status(), status(container_id="containerd://1", image_id="sha"), True, id="ids before it runs"),
        pytest.param(status(), status(observed_generation=2), True, id="that a change was seen"),
        pytest.param(status(), status(RUNNING, phase="Running"), False, id="that it runs"),
        pytest.param(
            status(RUNNING, phase="Running"),
            status(RUNNING, phase="Running", container_id="containerd://2"),
            False,
            id="that another container runs",
        ),
        pytest.param(status(RUNNING), status(RUNNING, ready=True), False, id="that it is ready"),
        pytest.param(
            status(conditions=condition("Ready", "True")),
            status(conditions=condition("Ready", "False")),
            False,
            id="that the Pod is not ready",
        ),
        pytest.param(status(RUNNING), status(ENDED), False, id="that a container has ended"),
        pytest.param(
            status(), status(ContainerState(waiting=Waiting(reason="ErrImagePull"))), False, id="what it waits for"
        ),
        pytest.param(status(), status(phase="Failed", reason="Evicted"), False, id="that it failed"),
    ],
)
def test_what_can_wait(before: PodStatus, now: PodStatus, waits: bool) -> None:
    pod = Pod(metadata=ObjectMeta(namespace="default", name="web", uid="u"))
    assert urgency.can_wait(pod, before, now) is waits


@pytest.mark.parametrize(
    ("told", "now", "begins"),
    [
        pytest.param(PodStatus(phase="Pending"), status(start_time=NOW), True, id="a Pod that was only bound"),
        pytest.param(status(start_time=NOW), status(start_time=NOW), False, id="one that the API knows to be begun"),
        pytest.param(PodStatus(), status(RUNNING, phase="Running"), False, id="one that runs already"),
        pytest.param(PodStatus(), status(phase="Failed", reason="OutOfcpu"), False, id="one that may not run here"),
        pytest.param(
            PodStatus(),
            status(ContainerState(waiting=Waiting(reason="ErrImagePull"))),
            False,
            id="one that waits for something else",
        ),
    ],
)
def test_what_only_begins(told: PodStatus, now: PodStatus, begins: bool) -> None:
    assert urgency.only_begins(told, now) is begins


def test_the_steps_of_a_deleted_pod_wait_for_its_end() -> None:
    pod = Pod(metadata=ObjectMeta(namespace="default", name="web", uid="u"))
    deleted = msgspec.structs.replace(
        pod, metadata=msgspec.structs.replace(pod.metadata, deletion_timestamp=dt.datetime.now(dt.UTC))
    )
    assert not urgency.can_wait(pod, status(RUNNING), status(ENDED))
    assert urgency.can_wait(deleted, status(RUNNING), status(ENDED))
    assert urgency.can_wait(deleted, status(RUNNING, ready=True), status(ENDED))
    assert not urgency.can_wait(deleted, status(RUNNING, ready=True), status(RUNNING, ready=False))
