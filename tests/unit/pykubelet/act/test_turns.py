"""Turns: bounded, and those nearest to their end first."""

import asyncio

from nodekit.aio import virtual
from pykubelet.act.turns import BEGINNING, NEARLY_DONE, Turns


def test_who_is_nearly_done_goes_before_who_begins() -> None:
    order: list[str] = []

    async def scenario() -> None:
        turns = Turns(1)

        async def hold(name: str, rank: int) -> None:
            async with turns.taken(rank):
                order.append(name)
                await asyncio.sleep(1)

        async with asyncio.TaskGroup() as tasks:
            for name in ("first", "second", "third"):
                tasks.create_task(hold(name, BEGINNING))
            await asyncio.sleep(0.5)
            tasks.create_task(hold("last step", NEARLY_DONE))

    virtual.run(scenario())
    assert order == ["first", "last step", "second", "third"]


def test_one_that_gives_up_waiting_costs_nobody_a_turn() -> None:
    async def scenario() -> None:
        turns = Turns(1)

        async def hold() -> None:
            async with turns.taken(BEGINNING):
                await asyncio.sleep(1)

        tasks = [asyncio.create_task(hold()) for _ in range(3)]
        await asyncio.sleep(0.5)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert asyncio.get_running_loop().time() == 2
        assert turns.waiting == 0

    virtual.run(scenario())
