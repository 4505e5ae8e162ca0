"""The machine's addresses, and who is told of a change."""

import asyncio

from pyproxy.model import address as addresses
from pyproxy.observe import addresses as machine


async def test_a_change_before_anybody_listened_is_told() -> None:
    mine = machine.Addresses()
    now = mine.current
    gone = addresses.parse("192.0.2.1")
    assert gone is not None
    mine.current = now | {gone}  # as if the machine had had it when it was looked at first
    told = asyncio.Event()
    mine.subscribe(told.set)
    task = asyncio.create_task(mine.run())
    try:
        await asyncio.wait_for(told.wait(), 5)
        assert mine.current == now
    finally:
        task.cancel()
        await asyncio.wait({task})
