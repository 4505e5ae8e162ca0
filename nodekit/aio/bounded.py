"""Bounds on how much runs at once."""

import asyncio
from types import TracebackType
from typing import Final


class Limiter:
    """At most `limit` holders at once, in the order they asked: `async with limiter: ...`."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a limit of {limit} lets nothing through")
        self.limit: Final = limit
        self._semaphore = asyncio.Semaphore(limit)

    async def __aenter__(self) -> None:
        await self._semaphore.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._semaphore.release()
