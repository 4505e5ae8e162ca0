"""The runtime's events as hints that never end: reconnects, and says when something may have been missed."""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator
from typing import TypeAlias

from pykubelet.cri import errors, runtime_api
from pykubelet.model import observed

RETRY_FIRST = 0.05
RETRY_MOST = 1.0
"""Seconds between attempts to connect: a restarted runtime is heard again within a second."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """Events may have been missed since the stream broke (or ever, at the start): relist."""

    reason: str


Hint: TypeAlias = observed.RuntimeEvent | Gap


async def follow(runtime: runtime_api.ContainerCalls) -> AsyncIterator[Hint]:
    """Yield a Gap when connecting, then events, again after each break. Ends only if the runtime has no events at all.

    Without events the relist alone finds what happened.
    """
    delay, reason = RETRY_FIRST, "the stream has just been opened"
    while True:
        yield Gap(reason)
        try:
            async for event in runtime.events():
                delay = RETRY_FIRST
                yield event
            reason = "the runtime ended the stream"
        except errors.Unimplemented as error:
            log.info("%s; relisting alone will notice what containers do", error)
            return
        except errors.CriError as error:
            reason = str(error)
        log.debug("container events: %s; trying again in %.2f s", reason, delay)
        await asyncio.sleep(delay)
        delay = min(delay * 2, RETRY_MOST)
