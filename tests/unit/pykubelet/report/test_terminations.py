"""How containers end is counted once for each."""

import pytest

from nodekit.objects.meta import ObjectMeta
from pykubelet import meters
from pykubelet.model.pod import Pod
from pykubelet.model.status import ContainerState, ContainerStatus, PodStatus, Running, Terminated
from pykubelet.report.terminations import Terminations

RUNS = ContainerState(running=Running())


def failed(reason: str) -> ContainerState:
    return ContainerState(terminated=Terminated(exit_code=3, reason=reason))


def status(state: ContainerState) -> PodStatus:
    one = ContainerStatus(
        name="app", ready=False, restart_count=0, image="i", image_id="", state=state, last_state=ContainerState()
    )
    return PodStatus(container_statuses=(one,))


@pytest.mark.parametrize(
    ("known", "states", "count"),
    [
        pytest.param(PodStatus(), (RUNS, failed("once")), 1, id="once"),
        pytest.param(PodStatus(), (failed("again"), failed("again"), RUNS, failed("again")), 2, id="again"),
        pytest.param(status(failed("before")), (failed("before"),), 0, id="before"),
    ],
)
def test_ends_are_counted(known: PodStatus, states: tuple[ContainerState, ...], count: int) -> None:
    reason = next(state.terminated.reason for state in states if state.terminated is not None)
    labels = {"container_type": "container", "exit_code": "3", "reason": reason}
    pod, ends = Pod(metadata=ObjectMeta(uid="u1"), status=known), Terminations()
    for state in states:
        ends.published(pod, status(state))
    sample = meters.FAMILIES.registry.get_sample_value("kubelet_terminated_containers_total", labels)
    assert (sample or 0) == count
