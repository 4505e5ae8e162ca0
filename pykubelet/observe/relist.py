"""Relists the runtime: once a minute while its events work, each second while they do not, and whenever asked."""

import asyncio
import logging
import time

from nodekit.aio.backoff import Backoff
from pykubelet import meters
from pykubelet.cri import errors
from pykubelet.observe.runtime_view import RuntimeView

WITH_EVENTS = 60.0
WITHOUT_EVENTS = 1.0
UNHEALTHY_AFTER = 180.0
"""Seconds without a relist after which the node is not ready, as the genuine kubelet's PLEG has it."""

log = logging.getLogger(__name__)


class Relist:
    """`events_work` is set by the events' reader."""

    def __init__(self, view: RuntimeView) -> None:
        self.events_work = False
        self.synced = asyncio.Event()
        """Set once the first relist has succeeded."""
        self._view = view
        self._asked = asyncio.Event()
        self._began = time.monotonic()

    def ask(self) -> None:
        """Relist soon."""
        self._asked.set()

    def trouble(self) -> str | None:
        """What is wrong: no relist has succeeded for long. None if all is well."""
        ago = time.monotonic() - max(self._view.relisted_at, self._began)
        return f"the container runtime was last listed {ago:.0f}s ago" if ago > UNHEALTHY_AFTER else None

    async def run(self) -> None:
        """Relist until cancelled."""
        retry = Backoff(base=0.2, cap=5.0)
        failures = 0
        before: float | None = None
        while True:
            self._asked.clear()
            began = time.monotonic()
            if before is not None:
                meters.relist_interval.observe(began - before)
            before = began
            meters.relist_last_seen.set_to_current_time()
            try:
                with meters.relist.time():
                    await self._view.relist()
                self.synced.set()
                failures = 0
            except errors.CriError as error:
                failures += 1
                log.log(logging.INFO if failures == 1 else logging.WARNING, "relist: %s", error)
            await self._pause(retry.delay(failures) if failures else None)

    async def _pause(self, retry_in: float | None) -> None:
        wait = retry_in if retry_in is not None else WITH_EVENTS if self.events_work else WITHOUT_EVENTS
        try:
            async with asyncio.timeout(wait):
                # A runtime that does not answer is not asked sooner because its event stream broke too.
                await (asyncio.sleep(wait) if retry_in is not None else self._asked.wait())
        except TimeoutError:
            return
