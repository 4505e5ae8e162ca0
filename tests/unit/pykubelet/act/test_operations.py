"""Operations: one per key, stops that hasten, ends that are told."""

import asyncio

import pytest

from nodekit.aio import virtual
from pykubelet.act import operations
from pykubelet.act.operations import Operations
from pykubelet.model import actions
from pykubelet.model.actions import Action, StopReason
from pykubelet.model.ids import ContainerId, ImageRef, Uid

UID = Uid("u")


def stop(kill_at: float) -> actions.StopContainer:
    return actions.StopContainer(ContainerId("c"), "c", int(kill_at), kill_at, StopReason.ENDING, "bye")


class Ended:
    def __init__(self) -> None:
        self.told: list[tuple[Action, str]] = []

    def __call__(self, uid: Uid, action: Action, error: BaseException | None) -> None:
        self.told.append((action, type(error).__name__))


async def takes_long(action: Action) -> None:
    await asyncio.sleep(100)


def test_one_operation_per_key() -> None:
    async def scenario() -> None:
        ended = Ended()
        running = Operations(ended)
        pull = actions.EnsureImage(ImageRef("i"), "Always", "c")
        assert running.start(UID, pull, takes_long)
        assert not running.start(UID, pull, takes_long)
        assert list(running.under_way(UID)) == [pull.key]
        await asyncio.sleep(101)
        assert ended.told == [(pull, "NoneType")]
        assert running.under_way(UID) == {}

    virtual.run(scenario())


@pytest.mark.parametrize(
    ("second", "taken_over"),
    [pytest.param(5.0, True, id="a nearer end takes over"), pytest.param(30.0, False, id="a later one does not")],
)
def test_stops(second: float, taken_over: bool) -> None:
    async def scenario() -> None:
        ended = Ended()
        running = Operations(ended)
        running.start(UID, stop(10.0), takes_long)
        await asyncio.sleep(1)
        assert running.start(UID, stop(second), takes_long) is taken_over
        await asyncio.sleep(200)
        assert ended.told == [(stop(second if taken_over else 10.0), "NoneType")], "only the last one tells"

    virtual.run(scenario())


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_cancelled_operation_keeps_its_key_until_its_call_has_ended(times: int) -> None:
    async def scenario() -> None:
        ended = Ended()
        running = Operations(ended)
        create = actions.CreateSandbox(0)

        async def work(action: Action) -> None:
            await operations.to_its_end(asyncio.sleep(3))

        running.start(UID, create, work)
        await asyncio.sleep(1)
        for _ in range(times):
            running.cancel(UID, (actions.CreateSandbox,))
            await asyncio.sleep(1 / times)
        assert create.key in running.under_way(UID)
        await asyncio.sleep(2)
        assert ended.told == [(create, "CancelledError")]

    virtual.run(scenario())


def test_closing_cancels_and_waits() -> None:
    async def scenario() -> None:
        ended = Ended()
        running = Operations(ended)
        running.start(UID, stop(10.0), takes_long)
        await asyncio.sleep(1)
        await running.close()
        assert running.under_way(UID) == {}
        assert asyncio.get_running_loop().time() == 1

    virtual.run(scenario())
