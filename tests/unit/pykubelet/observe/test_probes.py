"""What comes of a row of probes, in virtual time."""

import asyncio

import msgspec
import pytest

from nodekit.aio.clock import VirtualClock
from nodekit.aio.virtual import run
from nodekit.objects.meta import ObjectMeta
from pykubelet.model.container import Container, ExecAction, Probe
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.model.observed import Container as Seen
from pykubelet.model.observed import ContainerState, PodRuntime
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.pod_state import Probed, Verdict
from pykubelet.observe import probe_calls
from pykubelet.observe.probes import Probes

UID = Uid("uid")
PROBE = Probe(exec=ExecAction(command=("ask",)), period_seconds=10, failure_threshold=3, success_threshold=1)


class Program:
    """Answers probes; `away`: none can be made. `asked` counts the tries."""

    def __init__(self) -> None:
        self.away, self.ok, self.asked = False, True, 0

    async def ask(self, probe: Probe, target: probe_calls.Target) -> probe_calls.Answer:
        self.asked += 1
        if self.away:
            raise probe_calls.Unaskable("the runtime is away")
        return probe_calls.Answer(self.ok, "so it says")


class Scene:
    """One container with one probe of this kind."""

    def __init__(self, kind: str) -> None:
        self.container, self.clock, self.events = Program(), VirtualClock(), list[tuple[str, str]]()
        self.probes = Probes(self.container, self, wake=lambda uid: None, clock=self.clock)  # type: ignore[arg-type]
        asked = msgspec.structs.replace(Container(name="c"), **{f"{kind}_probe": PROBE})
        self._pod = Pod(metadata=ObjectMeta(name="pod", namespace="ns", uid=UID), spec=PodSpec(containers=(asked,)))

    def event(self, pod: Pod, type_: str, reason: str, message: str, *, container: str = "") -> None:
        self.events.append((reason, message))

    def begin(self) -> None:
        now = self.clock.now().timestamp()
        seen = Seen(ContainerId("id"), "c", 0, UID, SandboxId("s"), ContainerState.RUNNING, now, started_at=now)
        self.probes.follow(self._pod, PodRuntime(UID, "ns", "pod", (), (seen,)), address="", ending=False)

    @property
    def probed(self) -> Probed:
        return self.probes.verdicts(UID)[ContainerId("id")]

    def counts(self) -> dict[bool, int]:
        return {which.ok: count for which, count in self.probes.counts.items()}


@pytest.mark.parametrize("kind", ["startup", "liveness", "readiness"])
def test_a_probe_that_cannot_be_made_says_nothing_of_the_container(kind: str) -> None:
    async def scenario() -> None:
        scene = Scene(kind)
        scene.container.away = True
        scene.begin()
        before = scene.probed
        await asyncio.sleep(95)
        assert scene.probed == before
        assert scene.counts() == {}
        assert scene.container.asked == 30, "three times at each of ten turns"
        said = f"{kind.capitalize()} probe errored and resulted in unknown state: the runtime is away"
        assert scene.events == [("Unhealthy", said)] * 10
        scene.container.away = False
        await asyncio.sleep(10)
        assert getattr(scene.probed, kind) is Verdict.SUCCESS
        assert scene.counts() == {True: 1}
        assert [took.count for took in scene.probes.took.values()] == [1]
        scene.probes.forget(UID)

    run(scenario())


def test_an_outage_neither_adds_to_a_row_of_failures_nor_ends_it() -> None:
    async def scenario() -> None:
        scene = Scene("liveness")
        scene.container.ok = False
        scene.begin()
        await asyncio.sleep(15)
        scene.container.away = True
        await asyncio.sleep(50)
        assert scene.probed.liveness is not Verdict.FAILURE, "it failed twice"
        scene.container.away = False
        await asyncio.sleep(10)
        assert scene.probed.liveness is Verdict.FAILURE
        assert scene.counts() == {False: 3}
        assert scene.probes.took == {}
        scene.probes.forget(UID)

    run(scenario())
