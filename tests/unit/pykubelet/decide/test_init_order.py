"""How far initialisation has come, and what is started next."""

import pytest

from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import init_order
from pykubelet.decide.init_order import Progress
from pykubelet.model.actions import Kind, OpKey, StartContainer
from pykubelet.model.container import Container, Probe
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.model.observed import Container as Seen
from pykubelet.model.observed import ContainerState, PodRuntime
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.pod_state import PodState, Probed, Verdict

UID, SANDBOX, OLD = Uid("u"), SandboxId("s1"), SandboxId("s0")
EXITED, RUNNING = ContainerState.EXITED, ContainerState.RUNNING
FIRST, SECOND = Container(name="first"), Container(name="second")
SIDE = Container(name="side", restart_policy="Always")
PROBED = Container(name="side", restart_policy="Always", startup_probe=Probe())


def seen(name: str, how: ContainerState = EXITED, code: int = 0, sandbox: SandboxId = SANDBOX) -> Seen:
    return Seen(ContainerId(name), name, 0, UID, sandbox, how, 1.0, detailed=True, exit_code=code)


def state(*init: Container, there: tuple[Seen, ...] = (), policy: str = "Always", **fields: object) -> PodState:
    spec = PodSpec(init_containers=init, containers=(Container(name="main"),), restart_policy=policy)
    pod = Pod(metadata=ObjectMeta(name="pod", uid=UID), spec=spec)
    return PodState(**{"pod": pod, "seen": PodRuntime(UID, "ns", "pod", (), there), **fields})


def probed(verdict: Verdict) -> dict[ContainerId, Probed]:
    return {ContainerId("side"): Probed(startup=verdict)}


STARTING = {OpKey("start/side"): StartContainer("side", Kind.INIT, 0, SANDBOX)}


@pytest.mark.parametrize(
    ("given", "progress"),
    [
        pytest.param(state(), Progress(done=True), id="without init containers there is nothing to wait for"),
        pytest.param(state(FIRST, SECOND), Progress(start=(FIRST,)), id="the first goes first"),
        pytest.param(
            state(FIRST, SECOND, there=(seen("first", RUNNING),)), Progress(), id="one that runs is waited for"
        ),
        pytest.param(state(FIRST, SECOND, there=(seen("first"),)), Progress(start=(SECOND,)), id="then the next"),
        pytest.param(state(FIRST, there=(seen("first"),)), Progress(done=True), id="all have completed"),
        pytest.param(
            state(FIRST, there=(seen("first", code=1),)), Progress(start=(FIRST,)), id="one that failed runs again"
        ),
        pytest.param(
            state(FIRST, there=(seen("first", code=1),), policy="Never"),
            Progress(failed=True),
            id="unless the Pod never restarts",
        ),
        pytest.param(
            state(FIRST, SECOND, there=(seen("second"),)),
            Progress(done=True),
            id="one whose remains are gone has completed if a later one was there",
        ),
        pytest.param(
            state(FIRST, there=(seen("first", sandbox=OLD),)), Progress(start=(FIRST,)), id="a new sandbox begins anew"
        ),
        pytest.param(
            state(SIDE, there=(seen("side", RUNNING),)), Progress(done=True), id="a sidecar only has to start"
        ),
        pytest.param(
            state(SIDE, there=(seen("side", RUNNING),), under_way=STARTING),
            Progress(),
            id="its postStart hook belongs to its start",
        ),
        pytest.param(state(PROBED, there=(seen("side", RUNNING),)), Progress(), id="its startup probe is waited for"),
        pytest.param(
            state(PROBED, there=(seen("side", RUNNING),), probed=probed(Verdict.SUCCESS)),
            Progress(done=True),
            id="until it succeeds",
        ),
        pytest.param(
            state(SIDE, FIRST, there=(seen("side"), seen("main", RUNNING))),
            Progress(done=True, start=(SIDE,)),
            id="a sidecar that died is started again beside the regular containers",
        ),
        pytest.param(
            state(SIDE, FIRST, there=(seen("side"), seen("first", RUNNING)), policy="Never"),
            Progress(start=(SIDE,)),
            id="and beside a later init container, whatever the Pod's policy",
        ),
    ],
)
def test_progress(given: PodState, progress: Progress) -> None:
    assert init_order.of(given, SANDBOX) == progress
