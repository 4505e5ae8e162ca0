"""A Pod from its first sight to its end, over the fake runtime, in virtual time."""

import asyncio
from pathlib import Path

import msgspec

from nodekit.aio.virtual import run
from nodekit.objects import quantity
from nodekit.objects.node import Node, NodeStatus
from pykubelet.cri.fake import Program
from pykubelet.decide.admission import Rejected
from pykubelet.model.container import ResizePolicy, ResourceRequirements
from pykubelet.model.pod import Pod
from tests.unit.pykubelet.act.scene import Scene, pod

SYSTEM = 2_000_000_000


def asking(name: str, memory: str, priority: int = 0) -> Pod:
    made = pod(name)
    container = msgspec.structs.replace(
        made.spec.containers[0], resources=ResourceRequirements(requests={"memory": memory})
    )
    spec = msgspec.structs.replace(made.spec, containers=(container,), priority=priority)
    return msgspec.structs.replace(made, spec=spec)


def test_a_pod_runs_and_is_told_of(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod("web", "a", "b")
        async with scene.running():
            scene.want(wanted)
            await asyncio.sleep(1)
            assert scene.states() == [("a", 0, "Running"), ("b", 0, "Running")]
            assert scene.phase(wanted) == "Running"
            assert scene.calls("RunPodSandbox") == 1
            assert [reason for reason, _ in scene.told.events].count("Started") == 2

    run(scenario())


def test_a_start_is_looked_at_when_it_begins_and_as_each_of_its_calls_has_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        scene.told.prepare_takes = 0.05
        scene.runtime.world.delays |= {"RunPodSandbox": 0.2, "StartContainer": 0.1}
        async with scene.running():
            scene.want(pod())
            await asyncio.sleep(10)
            assert scene.states() == [("main", 0, "Running")]
            assert scene.told.steps == 3, "bound, with its sandbox, with its container"

    run(scenario())


def test_a_container_that_restarts_with_more_than_before_starts_in_a_cgroup_that_lets_it(tmp_path: Path) -> None:
    def limited(cpu: str) -> Pod:
        wanted = pod()
        own = ResourceRequirements(limits={"cpu": cpu, "memory": "64Mi"})
        policy = (ResizePolicy(resource_name="cpu", restart_policy="RestartContainer"),)
        one = msgspec.structs.replace(wanted.spec.containers[0], resources=own, resize_policy=policy)
        return msgspec.structs.replace(wanted, spec=msgspec.structs.replace(wanted.spec, containers=(one,)))

    async def scenario() -> None:
        scene = Scene(tmp_path)
        async with scene.running():
            scene.want(limited("100m"))
            await asyncio.sleep(5)
            assert scene.told.limited == [], "it was made for that"
            scene.want(limited("200m"))
            await asyncio.sleep(60)
            assert scene.states()[-1] == ("main", 1, "Running")
            assert scene.told.limited == [20_000]

    run(scenario())


def test_containers_wait_for_the_groups_that_volumes_have_them_be_in(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        scene.told.prepare_takes, scene.told.volume_groups = 2.0, (777,)
        async with scene.running():
            scene.want(pod())
            await asyncio.sleep(5)
            (container,) = scene.runtime.world.containers.values()
            assert container.spec.security.supplemental_groups == (777,)

    run(scenario())


def test_volumes_are_filled_again_only_with_what_came_after_they_were_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod()
        scene.references.takes, scene.told.prepare_takes = 0.5, 0.5
        async with scene.running():
            scene.want(wanted)
            await asyncio.sleep(0.2)
            scene.workers.content_changed(wanted.uid)
            await asyncio.sleep(5)
            assert scene.told.prepared == [wanted.uid], "it came while it was waited for"
            scene.workers.content_changed(wanted.uid)
            await asyncio.sleep(0.7)
            scene.workers.content_changed(wanted.uid)
            await asyncio.sleep(5)
            assert scene.told.prepared == [wanted.uid] * 3, "the second came after the first was read"

    run(scenario())


def test_a_container_that_ends_while_another_starts_is_seen_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod("web", "a", "b", policy="Never")
        scene.runtime.world.script("a", Program(exits_after=0.1, code=3))
        scene.runtime.world.delays["StartContainer"] = 0.2
        async with scene.running():
            scene.want(wanted)
            await asyncio.sleep(0.35)
            assert scene.states() == [("a", 0, "Exited"), ("b", 0, "Created")]
            first, _ = scene.told.statuses[wanted.uid].container_statuses
            assert first.state.terminated is not None

    run(scenario())


def test_an_image_is_pulled_once_for_all_who_want_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        scene.runtime.world.delays["PullImage"] = 5.0
        async with scene.running():
            for number in range(10):
                scene.want(pod(f"web-{number}"))
            await asyncio.sleep(10)
            assert scene.calls("PullImage") == 1
            assert len(scene.states()) == 10

    run(scenario())


def test_a_deleted_pod_stops_is_torn_down_and_forgotten(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod()
        scene.runtime.world.script("main", Program(stop_takes=3.0))
        async with scene.running():
            scene.want(wanted)
            await asyncio.sleep(1)
            scene.delete(wanted)
            await asyncio.sleep(2)
            assert scene.states() == [("main", 0, "Running")]
            assert wanted.uid not in scene.told.finished
            await asyncio.sleep(2)
            assert scene.told.torn_down == [wanted.uid]
            assert wanted.uid in scene.told.finished
            scene.vanish(wanted)
            await asyncio.sleep(1)
            assert scene.runtime.world.sandboxes == {}
            assert scene.runtime.world.containers == {}
            assert scene.told.forgotten == [wanted.uid]
            assert scene.workers.memories.known() == []

    run(scenario())


def test_a_delete_is_acted_on_while_a_pull_hangs(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod()
        scene.runtime.world.delays["PullImage"] = 3600.0
        async with scene.running():
            scene.want(wanted)
            await asyncio.sleep(5)
            assert scene.states() == []
            scene.delete(wanted)
            await asyncio.sleep(2)
            assert wanted.uid in scene.told.finished

    run(scenario())


def test_a_rejected_pod_never_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod()
        scene.told.rejection = Rejected("OutOfcpu", "not enough of it")
        async with scene.running():
            scene.want(wanted)
            await asyncio.sleep(5)
            assert scene.calls("RunPodSandbox") == 0
            assert scene.phase(wanted) == "Failed"
            assert scene.told.statuses[wanted.uid].reason == "OutOfcpu"

    run(scenario())


def test_a_critical_pod_gets_the_room_that_others_have(tmp_path: Path) -> None:
    async def scenario() -> None:
        node = Node(status=NodeStatus(allocatable={"memory": quantity.parse("1Gi"), "pods": quantity.parse("9")}))
        scene = Scene(tmp_path, api_node=node)
        modest, large, critical = (
            asking("modest", "300Mi"),
            asking("large", "600Mi"),
            asking("critical", "600Mi", SYSTEM),
        )
        scene.runtime.world.script("main", Program(stop_takes=3.0))
        async with scene.running():
            scene.want(modest)
            scene.want(large)
            await asyncio.sleep(1)
            scene.want(critical)
            await asyncio.sleep(2)
            assert scene.phase(critical) == "Pending"
            assert ("Preempting", "") in scene.told.events
            await asyncio.sleep(5)
            assert [scene.phase(one) for one in (modest, large, critical)] == ["Running", "Failed", "Running"]
            assert scene.told.statuses[large.uid].reason == "Preempting"

    run(scenario())


def test_a_pod_like_others_is_refused_when_there_is_no_room(tmp_path: Path) -> None:
    async def scenario() -> None:
        node = Node(status=NodeStatus(allocatable={"memory": quantity.parse("1Gi"), "pods": quantity.parse("9")}))
        scene = Scene(tmp_path, api_node=node)
        first, second = asking("first", "600Mi"), asking("second", "600Mi")
        async with scene.running():
            scene.want(first)
            await asyncio.sleep(1)
            scene.want(second)
            await asyncio.sleep(1)
            assert scene.phase(second) == "Failed"
            assert scene.told.statuses[second.uid].reason == "OutOfmemory"
            assert ("OutOfmemory", "") in scene.told.events

    run(scenario())
