"""What is known of the runtime, against the fake one: news in any order never undoes newer news."""

import asyncio

import pytest

from nodekit.aio import virtual
from nodekit.aio.clock import VirtualClock
from pykubelet.cri.fake import FakeRuntime
from pykubelet.model import observed, runtime_config
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.observe import cri_events
from pykubelet.observe.relist import Relist
from pykubelet.observe.runtime_view import RuntimeView

UID = Uid("u1")
LABELS = {
    observed.POD_UID_LABEL: UID,
    observed.POD_NAME_LABEL: "web",
    observed.POD_NAMESPACE_LABEL: "default",
    observed.CONTAINER_NAME_LABEL: "main",
}
SANDBOX = runtime_config.SandboxSpec(name="web", namespace="default", uid=UID, labels=LABELS)
CONTAINER = runtime_config.ContainerSpec(name="main", image=runtime_config.ImageSpec(image="i"), labels=LABELS)


class Scene:
    def __init__(self) -> None:
        self.runtime = FakeRuntime(clock=VirtualClock())
        self.woken: list[Uid] = []
        self.began: list[Uid] = []
        self.view = RuntimeView(self.runtime, wake=self.woken.append, began=self.began.append)

    async def start(self) -> tuple[SandboxId, ContainerId]:
        sandbox = await self.runtime.run_sandbox(SANDBOX)
        container = await self.runtime.create_container(sandbox, CONTAINER, sandbox_spec=SANDBOX)
        await self.runtime.start_container(container)
        return sandbox, container

    def states(self) -> list[str]:
        seen = self.view.get(UID)
        return [c.state.value for c in seen.containers] if seen else []


def test_a_relist_finds_everything_and_wakes_what_changed() -> None:
    async def scenario() -> None:
        scene = Scene()
        sandbox, container = await scene.start()
        await scene.view.relist()
        seen = scene.view.get(UID)
        assert seen is not None
        assert (seen.namespace, seen.name) == ("default", "web")
        assert seen.sandboxes[0].ips
        assert scene.states() == ["Running"]
        assert scene.woken == [UID]
        await scene.view.relist()
        assert scene.woken == [UID], "nothing new wakes nobody"
        scene.runtime.world.exit(container, 3)
        await scene.view.relist()
        assert scene.states() == ["Exited"]
        assert seen.containers[0].exit_code == 0
        assert scene.woken == [UID, UID]
        await scene.runtime.remove_sandbox(sandbox)
        await scene.view.relist()
        assert scene.view.uids() == []

    virtual.run(scenario())


def test_an_old_event_does_not_undo_what_is_known() -> None:
    async def scenario() -> None:
        scene = Scene()
        events = scene.runtime.world.listen()
        _, container = await scene.start()
        await scene.view.refresh(UID)
        scene.runtime.world.exit(container, 1)
        await scene.view.refresh(UID)
        while not events.empty():
            event = events.get_nowait()
            assert event is not None
            scene.view.take(event)
            assert scene.states() == ["Exited"]

    virtual.run(scenario())


def test_what_was_removed_does_not_come_back_with_older_news() -> None:
    async def scenario() -> None:
        scene = Scene()
        events = scene.runtime.world.listen()
        _, container = await scene.start()
        scene.runtime.world.exit(container, 1)
        exited = [events.get_nowait() for _ in range(events.qsize())][-1]
        await scene.view.refresh(UID)
        await scene.runtime.remove_container(container)
        removed = events.get_nowait()
        assert removed is not None
        assert exited is not None
        scene.view.take(removed)
        assert scene.states() == []
        scene.view.take(exited)
        assert scene.states() == []

    virtual.run(scenario())


@pytest.mark.parametrize(
    "broken", [pytest.param(False, id="by events"), pytest.param(True, id="after a broken stream")]
)
def test_what_happens_is_noticed_at_once(broken: bool) -> None:
    async def scenario() -> None:
        scene = Scene()
        relist = Relist(scene.view)
        tasks = [
            asyncio.create_task(relist.run()),
            asyncio.create_task(cri_events.run(scene.runtime, scene.view, relist)),
        ]
        await asyncio.sleep(5)
        _, container = await scene.start()
        await asyncio.sleep(0.1)
        assert scene.states() == ["Running"]
        if broken:
            scene.runtime.world.down = True
            scene.runtime.world.break_streams()
            scene.runtime.world.exit(container, 0)
            await asyncio.sleep(30)
            assert scene.states() == ["Running"]
            scene.runtime.world.down = False
            await asyncio.sleep(6)
        else:
            scene.runtime.world.exit(container, 0)
            await asyncio.sleep(0.1)
        assert scene.states() == ["Exited"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    virtual.run(scenario())
