"""Pods are ended when the node runs short, one at a time."""

from collections.abc import Mapping

import pytest

from nodekit.aio import virtual
from nodekit.aio.clock import VirtualClock
from nodekit.objects.meta import ObjectMeta
from pykubelet.act.eviction import Evictions, Eyes, Rules
from pykubelet.config.parts import Threshold
from pykubelet.decide import pressure
from pykubelet.decide.pressure import Observation
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.pod_state import Ending
from pykubelet.model.usage import PodUsage
from pykubelet.model.volume import EmptyDirSource, Volume

LIMITS = pressure.limits(
    hard={"memory.available": Threshold.parse("100"), "nodefs.available": Threshold.parse("10%")},
    soft={},
    graces={},
    reclaim={},
)


def pod(name: str, **spec: object) -> Pod:
    return Pod(metadata=ObjectMeta(name=name, namespace="default", uid=name), spec=PodSpec(**spec))


class Node:
    """A node with Pods that each use so much memory; an ended one gives it back at once."""

    def __init__(self, *pods: Pod, memory: int, disk: int = 1000, images: int = 0, apart: bool = False) -> None:
        self.pods = {p.uid: p for p in pods}
        self.memory, self.disk, self.images, self.apart = memory, disk, images, apart
        self.usage = {p.uid: PodUsage(memory=50 * (i + 1), disk=0) for i, p in enumerate(pods)}
        self.endings: dict[Uid, float] = {}
        self.said: list[str] = []
        self.changes: list[frozenset[str]] = []
        self.clock = VirtualClock()
        rules = Rules(LIMITS, transition=300.0, longest_grace=0)
        eyes = Eyes(self.left, self.of_pods, self.reclaim, self.disks_apart)
        self.evictions = Evictions(rules, eyes, self, tell=self, clock=self.clock)
        self.evictions.changed = lambda: self.changes.append(self.evictions.conditions)

    async def left(self) -> Mapping[str, Observation]:
        return {"memory.available": Observation(self.memory, 1000), "nodefs.available": Observation(self.disk, 1000)}

    async def of_pods(self) -> Mapping[Uid, PodUsage]:
        return self.usage

    async def reclaim(self) -> int:
        self.disk += self.images
        return self.images

    async def disks_apart(self) -> bool:
        return self.apart

    def active(self) -> list[Pod]:
        return list(self.pods.values())

    def ends_at(self, uid: Uid) -> float | None:
        return self.endings.get(uid)

    def end(self, uid: Uid, why: Ending) -> None:
        del self.pods[uid]
        self.memory += self.usage[uid].memory or 0

    def is_over(self, uid: Uid) -> bool:
        return True

    def event(self, pod: Pod, type_: str, reason: str, message: str, *, container: str = "") -> None:
        self.said.append(f"{reason} {pod.metadata.name}")

    def of_node(self, type_: str, reason: str, message: str) -> None:
        self.said.append(f"{reason}: {message}")


SCRATCH = Volume(name="scratch", empty_dir=EmptyDirSource(size_limit="10"))


@pytest.mark.parametrize(
    ("node", "said"),
    [
        pytest.param(Node(pod("a"), memory=500), [], id="nobody is ended while there is enough"),
        pytest.param(
            Node(pod("a"), pod("b"), memory=60),
            ["EvictionThresholdMet: Attempting to reclaim memory", "Evicted b"],
            id="who uses most memory goes first",
        ),
        pytest.param(
            Node(pod("a"), pod("b", priority=2_000_000_000), memory=60),
            ["EvictionThresholdMet: Attempting to reclaim memory", "Evicted a"],
            id="a critical Pod stays",
        ),
        pytest.param(
            Node(pod("a"), memory=500, disk=50, images=100),
            ["EvictionThresholdMet: Attempting to reclaim ephemeral-storage"],
            id="removing images may be enough",
        ),
        pytest.param(
            Node(pod("a"), memory=500, disk=50, images=100, apart=True),
            ["EvictionThresholdMet: Attempting to reclaim ephemeral-storage", "Evicted a"],
            id="images on another disk are left alone",
        ),
    ],
)
def test_a_look(node: Node, said: list[str]) -> None:
    virtual.run(node.evictions.look())
    assert node.said == said


def test_conditions_are_told_when_they_change() -> None:
    node = Node(pod("a"), memory=60)

    async def scenario() -> None:
        await node.evictions.look()
        await node.evictions.look()

    virtual.run(scenario())
    assert node.changes == [frozenset({"MemoryPressure"})]


def test_who_writes_more_than_allowed_is_ended_though_there_is_enough() -> None:
    node = Node(pod("a", volumes=(SCRATCH,)), pod("b", volumes=(SCRATCH,)), memory=500)
    node.usage[Uid("a")] = PodUsage(volumes={"scratch": 11})
    node.usage[Uid("b")] = PodUsage(volumes={"scratch": 9})
    virtual.run(node.evictions.look())
    assert node.said == ["Evicted a"]


@pytest.mark.parametrize(
    ("left", "evicted"),
    [
        pytest.param(3600.0, "b", id="it has an hour yet"),
        pytest.param(0.5, "a", id="it is killed before an eviction would"),
    ],
)
def test_who_is_being_deleted_goes_first_if_it_uses_most_and_would_take_longer(left: float, evicted: str) -> None:
    node = Node(pod("a"), pod("b"), memory=60)

    async def scenario() -> None:
        node.endings[Uid("b")] = node.clock.now().timestamp() + left
        await node.evictions.look()

    virtual.run(scenario())
    assert node.said[-1] == f"Evicted {evicted}"


def test_who_is_being_deleted_may_not_write_more_than_allowed_either() -> None:
    node = Node(pod("a", volumes=(SCRATCH,)), memory=500)
    node.usage[Uid("a")] = PodUsage(volumes={"scratch": 11})

    async def scenario() -> None:
        node.endings[Uid("a")] = node.clock.now().timestamp() + 3600
        await node.evictions.look()

    virtual.run(scenario())
    assert node.said == ["Evicted a"]
