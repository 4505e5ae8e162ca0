"""What failed is made good: a pull, a container, its sandbox, the runtime, or the agent before this one."""

import asyncio
from pathlib import Path

import pytest

from nodekit.aio.virtual import run
from pykubelet.cri import errors
from pykubelet.cri.fake import Program
from tests.unit.pykubelet.act.scene import Scene, pod


def test_a_failed_pull_is_told_of_backed_off_and_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod()
        scene.runtime.world.registry = set()
        async with scene.running():
            scene.want(wanted)
            reasons = []
            for _ in range(30):
                await asyncio.sleep(1)
                waiting = scene.told.statuses[wanted.uid].container_statuses[0].state.waiting
                reasons.append(waiting.reason if waiting else "")
            assert reasons[0] == "ErrImagePull"
            assert "ImagePullBackOff" in reasons
            assert scene.calls("PullImage") == 2, "at 0 s and 10 s; the next one at 30 s"
            assert ("BackOff", "main") in scene.told.events
            scene.runtime.world.registry = None
            await asyncio.sleep(5)
            assert scene.phase(wanted) == "Running"

    run(scenario())


def test_a_crashing_container_is_restarted_later_each_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod()
        scene.runtime.world.script("main", Program(exits_after=1.0, code=1))
        async with scene.running():
            scene.want(wanted)
            await asyncio.sleep(60)
            attempts = [attempt for _, attempt, _ in scene.states()]
            assert attempts == [2, 3], "at 0, 1, 12 and 33 s; one dead predecessor is kept"
            status = scene.told.statuses[wanted.uid].container_statuses[0]
            assert status.restart_count == 3
            assert status.state.waiting is not None
            assert status.state.waiting.reason == "CrashLoopBackOff"
            assert [e for e in scene.told.events if e[0] == "BackOff"] == [("BackOff", "main")] * 3

    run(scenario())


def test_a_failing_start_is_backed_off_and_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod("web", "a", "b")
        scene.runtime.world.fail("CreateContainer", errors.InvalidArgument("CreateContainer", detail="no"), times=1)
        async with scene.running():
            scene.want(wanted)
            await asyncio.sleep(0.5)
            assert ("Failed", "a") in scene.told.events
            await asyncio.sleep(10)
            assert sorted(name for name, _, state in scene.states() if state == "Running") == ["a", "b"]

    run(scenario())


def test_a_container_that_was_made_and_never_started_is_started(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod()
        gone = errors.Unavailable("StartContainer", detail="the runtime was killed")
        scene.runtime.world.fail("StartContainer", gone, times=1)
        async with scene.running():
            scene.want(wanted)
            await asyncio.sleep(20)
            assert scene.states() == [("main", 0, "Running")]

    run(scenario())


def test_a_container_that_the_runtime_refuses_to_start_is_made_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod()
        scene.runtime.world.script("main", Program(start_error="exec: no such file"), Program())
        async with scene.running():
            scene.want(wanted)
            await asyncio.sleep(20)
            assert scene.states() == [("main", 0, "Exited"), ("main", 1, "Running")]

    run(scenario())


def test_a_lost_sandbox_is_replaced_with_its_containers(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod()
        async with scene.running():
            scene.want(wanted)
            await asyncio.sleep(1)
            scene.runtime.world.lose_sandbox(next(iter(scene.runtime.world.sandboxes)))
            await asyncio.sleep(30)
            assert [state for _, _, state in scene.states()][-1] == "Running"
            assert scene.told.statuses[wanted.uid].container_statuses[0].restart_count == 1
            assert ("SandboxChanged", "") in scene.told.events

    run(scenario())


def test_a_runtime_that_is_away_is_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        wanted = pod()
        async with scene.running():
            await asyncio.sleep(1)
            scene.runtime.world.down = True
            scene.runtime.world.break_streams()
            scene.want(wanted)
            await asyncio.sleep(30)
            assert scene.runtime.world.sandboxes == {}
            scene.runtime.world.down = False
            await asyncio.sleep(15)
            assert scene.phase(wanted) == "Running"
            assert len(scene.runtime.world.sandboxes) == 1

    run(scenario())


def test_a_new_agent_adopts_what_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = Scene(tmp_path)
        wanted = pod("web", "a", "b")
        async with first.running():
            first.want(wanted)
            await asyncio.sleep(1)
        ids = list(first.runtime.world.containers)
        second = Scene(tmp_path, first.runtime)
        second.want(wanted)
        async with second.running():
            await asyncio.sleep(120)
            assert list(second.runtime.world.containers) == ids
            assert second.calls("RunPodSandbox") == 1
            assert second.phase(wanted) == "Running"

    run(scenario())


def test_what_ends_still_counts_after_a_restart_of_the_agent(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = Scene(tmp_path)
        wanted = pod(grace=60)
        first.runtime.world.script("main", Program(stop_takes=20.0))
        async with first.running():
            first.want(wanted)
            await asyncio.sleep(1)
        second = Scene(tmp_path, first.runtime)
        second.delete(wanted)
        async with second.running():
            await asyncio.sleep(5)
            assert [one.uid for one in second.workers.memories.active()] == [wanted.uid]
            assert second.workers.memories.staying() == []
            await asyncio.sleep(30)
            assert second.workers.memories.active() == []
            assert second.told.torn_down == [wanted.uid]

    run(scenario())


@pytest.mark.parametrize("after", [pytest.param(n / 10, id=f"{n / 10:g} s into its start") for n in range(1, 30, 2)])
def test_an_agent_that_dies_in_a_start_leaves_nothing_double(tmp_path: Path, after: float) -> None:
    async def scenario() -> None:
        first = Scene(tmp_path)
        world = first.runtime.world
        world.delays.update(RunPodSandbox=0.5, CreateContainer=0.3, StartContainer=0.4, PullImage=0.2)
        wanted = pod("web", "a", "b")
        async with first.running():
            first.want(wanted)
            await asyncio.sleep(after)
        second = Scene(tmp_path, first.runtime)
        second.want(wanted)
        async with second.running():
            await asyncio.sleep(60)
            running = [name for name, _, state in second.states() if state == "Running"]
            assert running == ["a", "b"]
            assert len(world.sandboxes) == 1
            assert second.phase(wanted) == "Running"
            assert [attempt for _, attempt, _ in second.states()] == [0, 0], "nothing counts as restarted"

    run(scenario())


def test_what_nobody_wants_is_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = Scene(tmp_path)
        async with first.running():
            first.want(pod())
            await asyncio.sleep(1)
        second = Scene(tmp_path, first.runtime)
        async with second.running():
            await asyncio.sleep(5)
            assert second.runtime.world.sandboxes == {}

    run(scenario())
