"""Connections to the runtime's streaming server that have been upgraded, or its words why not."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from aiohttp import web

HEAD_LIMIT: Final = 64 * 1024
CONNECT_TIMEOUT: Final = 10.0

log = logging.getLogger(__name__)


class NotUpgraded(Exception):
    """There is no stream; what the client is to be told."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status

    def answer(self) -> web.Response:
        return web.Response(status=self.status, text=str(self))


class Upgraded(NamedTuple):
    """`answer` is the head of the runtime's answer, with the empty line at its end."""

    answer: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@contextlib.asynccontextmanager
async def upgraded(url: str, head: Callable[[str, str], bytes]) -> AsyncIterator[Upgraded]:
    """A connection to `url`, closed afterwards; `head` makes the request's head of a path and a host.

    Raises NotUpgraded: a 502 if the runtime cannot be reached or does not answer, its own status if it refuses.
    """
    target = urlsplit(url)
    port = target.port or (443 if target.scheme == "https" else 80)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            reader, writer = await asyncio.open_connection(
                target.hostname, port, ssl=target.scheme == "https" or None, limit=HEAD_LIMIT
            )
    except OSError as error:  # TimeoutError is one
        log.warning("streaming server of the runtime at %s:%d: %s", target.hostname, port, error)
        raise NotUpgraded(502, f"the runtime's streaming server cannot be reached: {error}") from error
    try:
        path = target.path + (f"?{target.query}" if target.query else "")
        writer.write(head(path, target.netloc))
        yield Upgraded(await _answer(reader), reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
        if status == 101:
            return answer
        lines = (line.partition(":") for line in answer.decode("latin-1").split("\r\n"))
        length = {name.lower(): value.strip() for name, _, value in lines}.get("content-length", "0")
        body = await reader.readexactly(min(int(length), HEAD_LIMIT))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError) as error:
        raise NotUpgraded(502, f"the runtime's streaming server gave no answer: {error}") from error
    except (ValueError, IndexError) as error:
        raise NotUpgraded(502, f"the runtime's streaming server does not speak HTTP: {error}") from error
    raise NotUpgraded(status, body.decode(errors="replace"))
