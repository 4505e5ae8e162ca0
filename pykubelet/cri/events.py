"""The runtime's events as hints that never end: reconnects, and says when something may have been missed."""

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncIterator
from typing import TypeAlias

from pykubelet import meters
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
        heard = False
        try:
            async for event in runtime.events():
                # gRPC does not tell of an open stream before something comes.
                meters.event_streams.inc(not heard)
                meters.event_latency.observe(max(time.time() - event.at, 0.0))
                delay, heard = RETRY_FIRST, True
                yield event
            reason = "the runtime ended the stream"
        except errors.Unimplemented as error:
            meters.event_stream_errors.inc()
            log.info("%s; relisting alone will notice what containers do", error)
            return
        except errors.CriError as error:
            meters.event_stream_errors.inc(not heard)
            reason = str(error)
        log.debug("container events: %s; trying again in %.2f s", reason, delay)
        await asyncio.sleep(delay)
        delay = min(delay * 2, RETRY_MOST)
