"""Whose turn it is: at most so many at once, and who is nearer to its end goes before who only begins.

In a burst of Pods the first ones then run while the last ones wait, instead of all of them being half made for long.
"""

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import AsyncIterator
from typing import Final

NEARLY_DONE: Final = 0
BEGINNING: Final = 1


class Turns:
    """`async with turns.taken(BEGINNING): ...`; among equals first come, first served."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._order = itertools.count()
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return sum(1 for _, _, turn in self._queue if not turn.done())

    @contextlib.asynccontextmanager
    async def taken(self, rank: int) -> AsyncIterator[None]:
        """Wait for a turn and hold it while within."""
        await self._take(rank)
        try:
            yield
        finally:
            self._free += 1
            self._next()

    async def _take(self, rank: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (rank, next(self._order), turn))
        self._next()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It was given in the very moment it was no longer wanted.
                self._free += 1
                self._next()
            raise

    def _next(self) -> None:
        while self._free and self._queue:
            _, _, turn = heapq.heappop(self._queue)
            if not turn.done():
                self._free -= 1
                turn.set_result(None)
