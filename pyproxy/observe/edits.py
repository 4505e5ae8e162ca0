"""Notices when somebody else changes our iptables chains: by listing them when anything at all may have changed."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

log = logging.getLogger(__name__)

_PERIOD: Final = 1.0
_SHARE: Final = 20  # listing takes at most one part in so many of the time


class Edits:
    """Asks `agrees` whether our chains are as written, if `stamp` is another than when they were last; None: always."""

    def __init__(self, agrees: Callable[[], Awaitable[bool]], stamp: Callable[[], int] | None) -> None:
        self._agrees = agrees
        self._stamp = stamp
        self._touched: list[Callable[[], None]] = []

    def subscribe(self, touched: Callable[[], None]) -> None:
        """Be told when they differ."""
        self._touched.append(touched)

    async def run(self) -> None:
        """Look until cancelled."""
        seen: int | None = None
        pause = _PERIOD
        while True:
            await asyncio.sleep(pause)
            now = self._stamp() if self._stamp is not None else None
            if now is not None and now == seen:
                continue
            began = time.monotonic()
            if await self._agrees():
                seen = now
            else:
                log.warning("somebody else has changed our iptables chains: they are written anew")
                for touched in self._touched:
                    touched()
            pause = max(_PERIOD, (time.monotonic() - began) * _SHARE)
