"""Pods end in order before the machine does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nodekit.aio import virtual
from nodekit.aio.clock import VirtualClock
from nodekit.objects.meta import ObjectMeta
from pykubelet.act.shutdown import REJECTED, Shutdown
from pykubelet.cri.fake import Program
from pykubelet.decide import shutdown as decided
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.pod_state import Ending
from tests.unit.pykubelet.act import scene as kubelet

CRITICAL = 2_000_000_000


def pod(name: str, priority: int) -> Pod:
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default", uid=name),
        spec=PodSpec(priority=priority, termination_grace_period_seconds=60),
    )


class Scene:
    """A machine whose shutdowns a test begins, and Pods that take so many seconds to end."""

    def __init__(self, *pods: Pod, takes: float) -> None:
        self.pods, self.takes = {p.uid: p for p in pods}, takes
        self.log: list[str] = []
        self.breaks = False
        self.signals: asyncio.Queue[bool] = asyncio.Queue()
        self.over: set[Uid] = set()
        steps = decided.steps(total=30, for_critical=10)
        self.shutdown = Shutdown(steps, self, told=self.told, tell=self, clock=VirtualClock())

    def say(self, what: str) -> None:
        self.log.append(f"{asyncio.get_running_loop().time():.0f} {what}")

    async def allow(self, seconds: float) -> None:
        self.say(f"allow {seconds}")

    async def hold(self) -> None:
        self.say("hold")

    def release(self) -> None:
        self.say("release")

    async def shutdowns(self) -> AsyncIterator[bool]:
        while True:
            yield await self.signals.get()

    async def told(self) -> None:
        self.say("told")

    def active(self) -> list[Pod]:
        if self.breaks:
            raise RuntimeError("no Pods are known")
        return list(self.pods.values())

    def ends_at(self, uid: Uid) -> float | None:
        return None

    def end(self, uid: Uid, why: Ending) -> None:
        self.say(f"end {uid} within {why.grace}")
        asyncio.get_running_loop().call_later(self.takes, self.over.add, uid)

    def is_over(self, uid: Uid) -> bool:
        return uid in self.over

    def event(self, pod: Pod, type_: str, reason: str, message: str, *, container: str = "") -> None: ...

    def of_node(self, type_: str, reason: str, message: str) -> None: ...

    def run(self, *signals: tuple[float, bool]) -> list[str]:
        async def scenario() -> None:
            task = asyncio.create_task(self.shutdown.run(self))
            for wait, begins in signals:
                await asyncio.sleep(wait)
                self.signals.put_nowait(begins)
            await asyncio.sleep(100)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        virtual.run(scenario())
        return self.log


def test_the_important_pods_end_last() -> None:
    scene = Scene(pod("dns", CRITICAL), pod("web", 0), takes=1.0)
    assert scene.run((5, True)) == [
        "0 allow 30",
        "0 hold",
        "5 end web within 20",
        "6 end dns within 10",
        "7 told",
        "7 release",
    ]
    assert scene.shutdown.refuses() == REJECTED
    assert scene.shutdown.problem() == "node is shutting down"


def test_pods_that_do_not_end_hold_it_up_no_longer_than_allowed() -> None:
    scene = Scene(pod("dns", CRITICAL), pod("web", 0), takes=1000.0)
    assert scene.run((0, True))[-2:] == ["30 told", "30 release"]


def test_a_shutdown_that_is_called_off_is_waited_for_again() -> None:
    scene = Scene(pod("web", 0), takes=1000.0)
    log = scene.run((0, True), (3, False))
    assert log[-2:] == ["3 release", "3 hold"]
    assert scene.shutdown.refuses() is None


def test_a_shutdown_that_breaks_off_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(pod("web", 0), takes=1.0)
    scene.breaks = True
    scene.run((0, True))
    assert "no Pods are known" in caplog.text


def test_a_pod_that_is_being_deleted_is_waited_for_and_has_no_longer_than_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene, machine = kubelet.Scene(tmp_path), Scene(takes=0.0)
        database = kubelet.pod("database", grace=3600)
        scene.runtime.world.script("main", Program(stop_takes=1000.0))
        steps = decided.steps(total=30, for_critical=10)
        pods = scene.workers.memories
        shutdown = Shutdown(steps, pods, told=machine.told, tell=machine, clock=scene.clock)
        async with scene.running():
            scene.want(database)
            await asyncio.sleep(5)
            scene.delete(database)
            await asyncio.sleep(5)
            machine.signals.put_nowait(True)
            task = asyncio.create_task(shutdown.run(machine))
            await asyncio.sleep(15)
            assert "10 release" not in machine.log
            assert scene.states() == [("main", 0, "Running")]
            await asyncio.sleep(10)
            assert machine.log[-1] == "30 release"
            assert scene.told.torn_down == [database.uid]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    virtual.run(scenario())
