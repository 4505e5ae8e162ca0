"""Bounds on how much runs at once, and on how often."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final

from nodekit.aio.backoff import Backoff

log = logging.getLogger(__name__)


class Limiter:
    """At most `limit` holders at once, in the order they asked: `async with limiter: ...`."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a limit of {limit} lets nothing through")
        self.limit: Final = limit
        self._semaphore = asyncio.Semaphore(limit)
        self._held = 0
        self._waiting = 0

    @property
    def held(self) -> int:
        """How many hold it."""
        return self._held

    @property
    def waiting(self) -> int:
        """How many wait for it."""
        return self._waiting

    async def __aenter__(self) -> None:
        self._waiting += 1
        try:
            await self._semaphore.acquire()
        finally:
            self._waiting -= 1
        self._held += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held -= 1
        self._semaphore.release()


class BoundedRunner:
    """Calls `work()` soon after `trigger()`, never two at once, and no oftener than asked.

    Triggers within `settle` seconds of the first share one call; calls begin at least `min_interval` apart and at most
    `max_interval` apart (0 turns either off). A failed call is logged, told to `on_error(error, delay)` and repeated
    after a backoff; a trigger in the meantime does not hasten it.
    """

    def __init__(
        self,
        work: Callable[[], Awaitable[None]],
        *,
        settle: float = 0.005,
        min_interval: float = 0.0,
        max_interval: float = 0.0,
        on_error: Callable[[Exception, float], None] | None = None,
    ) -> None:
        self._work = work
        self._settle = settle
        self._min_interval = min_interval
        self._max_interval = max_interval
        self._on_error = on_error
        self._backoff = Backoff(base=max(min_interval, 0.05), cap=30.0)
        self._triggered = asyncio.Event()

    def trigger(self) -> None:
        """Ask for a call."""
        self._triggered.set()

    async def run(self) -> None:
        """Work until cancelled."""
        loop = asyncio.get_running_loop()
        failures = 0
        began = loop.time() - self._min_interval
        while True:
            if not failures:
                await self._wait(began + self._max_interval if self._max_interval else None)
                await asyncio.sleep(max(self._settle, began + self._min_interval - loop.time()))
            self._triggered.clear()
            began = loop.time()
            try:
                await self._work()
                failures = 0
            except Exception as error:
                failures += 1
                delay = self._backoff.delay(failures)
                log.error("a run failed, repeated in %.1fs", delay, exc_info=error)
                if self._on_error is not None:
                    self._on_error(error, delay)
                await asyncio.sleep(delay)

    async def _wait(self, until: float | None) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._triggered.wait()
        except TimeoutError:
            return
