"""What a Pod waits for, in sentences."""

import dataclasses

import pytest

from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import explain
from pykubelet.model.actions import Backoff, EnsureImage, OpKey
from pykubelet.model.container import Container
from pykubelet.model.ids import ContainerId, ImageRef, SandboxId, Uid
from pykubelet.model.observed import Container as SeenContainer
from pykubelet.model.observed import ContainerState, PodRuntime, Sandbox, SandboxState
from pykubelet.model.pod import Pod, PodSpec, ReadinessGate
from pykubelet.model.pod_state import Ending, EndingCause, Failure, ImageState, PodState, Probed, Verdict
from pykubelet.model.status import PodStatus

NOW = 1000.0
UID = Uid("u1")
APP = SeenContainer(
    ContainerId("c1"), "app", 0, UID, SandboxId("s"), ContainerState.RUNNING, created_at=900.0, started_at=900.0
)
DEAD = dataclasses.replace(APP, state=ContainerState.EXITED, exit_code=1, reason="Error", finished_at=990.0)
SANDBOX = Sandbox(SandboxId("s"), UID, "default", "web", 0, SandboxState.READY, 890.0, detailed=True)


def state(*containers: SeenContainer, spec: PodSpec | None = None, **more: object) -> PodState:
    pod = Pod(
        metadata=ObjectMeta(name="web", namespace="default", uid=UID),
        spec=spec or PodSpec(containers=(Container(name="app", image="img:1"),)),
    )
    return PodState(pod, PodRuntime(UID, "default", "web", (SANDBOX,), containers), **more)


PULL = EnsureImage(ImageRef("img:1"), "Always", container="app")
MISSING = Failure("FailedMount", 'MountVolume.SetUp failed for volume "v": secret "s" not found', 990.0, 3, 1008.0)
GATED = PodSpec(containers=(Container(name="app"),), readiness_gates=(ReadinessGate("example.com/lb"),))


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        pytest.param(state(APP), "All of its containers run, and nothing is waited for.", id="a Pod that is well"),
        pytest.param(
            state(under_way={PULL.key: PULL}, images={"app": ImageState(progress="43% of 120 MB")}),
            "The image img:1 of container app is being pulled (43% of 120 MB), since 1 min 5 s.",
            id="a pull that goes on",
        ),
        pytest.param(
            state(failures={OpKey("volumes"): MISSING}),
            'Preparing its volumes failed 3 times, FailedMount: MountVolume.SetUp failed for volume "v": '
            'secret "s" not found. It is tried again in 8 s.',
            id="a secret that is missing",
        ),
        pytest.param(
            state(DEAD, backoffs={"app": Backoff(90.0, 900.0, 0)}),
            "Container app keeps exiting (exit code 1, Error); it is started again in 1 min 20 s.",
            id="a container that crashes",
        ),
        pytest.param(
            state(APP, probed={ContainerId("c1"): Probed(readiness=Verdict.FAILURE)}),
            "Container app runs, but its readiness probe does not succeed.",
            id="a probe that fails",
        ),
        pytest.param(
            state(APP, spec=GATED),
            "The readiness gate example.com/lb is not true: somebody outside of the node has to say so.",
            id="a gate that is shut",
        ),
        pytest.param(
            state(APP, ending=Ending(EndingCause.DELETED, 30, 1012.0)),
            "It is ending (it was deleted); what still runs is killed in 12 s: app.",
            id="a Pod that ends",
        ),
        pytest.param(
            state(ending=Ending(EndingCause.REJECTED, 0, 1000.0, "OutOfcpu", "Node didn't have enough resource: cpu")),
            "It was refused, OutOfcpu: Node didn't have enough resource: cpu",
            id="a Pod that was refused",
        ),
    ],
)
def test_the_first_sentence(seen: PodState, said: str) -> None:
    took = {OpKey("image/app"): 65.0}
    assert explain.of(seen, PodStatus(phase="Pending"), took=took, now=NOW)[0] == said
