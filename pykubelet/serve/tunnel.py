"""An upgraded connection as a tunnel of bytes to the runtime's streaming server, with back-pressure both ways.

What flows (SPDY, or a WebSocket) is between the client and the runtime: nothing is parsed here.
"""

import asyncio
import logging
from typing import Any, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from pykubelet.serve import dial

HIGH = 256 * 1024
"""Bytes from the client that may wait for the runtime; beyond it the client is not read from."""
BLOCK = 64 * 1024
OURS = frozenset({"host", "authorization", "content-length", "transfer-encoding"})
"""Headers that are not passed on: they are between the client and this server."""

log = logging.getLogger(__name__)


class Inlet:
    """Takes what the client sends, as aiohttp's payload parser of an upgraded connection."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._waiting = bytearray()
        self._ready = asyncio.Event()
        self._ended = False
        self._paused = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._waiting += data
        self._ready.set()
        if len(self._waiting) > HIGH and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        return False, b""

    def feed_eof(self) -> None:
        self._ended = True
        self._ready.set()

    def set_exception(self, *_: Any) -> None:
        self.feed_eof()

    async def pump(self, writer: asyncio.StreamWriter) -> None:
        """Pass all on until the client ends."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            data, self._waiting = self._waiting, bytearray()
            if self._paused:
                self._paused = False
                self._transport.resume_reading()
            if data:
                writer.write(data)
                await writer.drain()
            elif self._ended:
                return
            if self._ended:
                self._ready.set()


class Handed(web.StreamResponse):
    """Tells aiohttp that the answer has been given and the connection is not to be used again."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        self.force_close()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


async def through(request: web.Request, url: str) -> web.StreamResponse:
    """Join the client of this upgrade request with what waits at `url`, until either side ends.

    A runtime that does not upgrade has its answer passed on; one that cannot be reached is a 502.
    """
    if not request.headers.get("Upgrade"):
        return web.Response(status=500, text="Upgrade request required\n")
    try:
        async with dial.upgraded(url, lambda path, host: head(request, path, host)) as found:
            await join(request, found.answer, reader=found.reader, writer=found.writer)
    except dial.NotUpgraded as refusal:
        return refusal.answer()
    return Handed()


def head(request: web.Request, path: str, host: str) -> bytes:
    """The request's head as the runtime is to see it."""
    lines = [f"{request.method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if name.lower() not in OURS]
    if request.method == "POST":
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


async def join(
    request: web.Request, answer: bytes, *, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    transport = request.transport
    if transport is None:
        return
    inlet = Inlet(transport)
    transport.write(answer)
    request.protocol.set_parser(cast(Any, inlet))
    upward = asyncio.create_task(inlet.pump(writer), name="tunnel to the runtime")
    downward = asyncio.create_task(outward(request, reader, transport), name="tunnel to the client")
    try:
        await asyncio.wait({upward, downward}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (upward, downward):
            task.cancel()
        for result in await asyncio.gather(upward, downward, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, ConnectionError):
                log.warning("a tunnel broke: %r", result)


async def outward(request: web.Request, reader: asyncio.StreamReader, transport: asyncio.Transport) -> None:
    while data := await reader.read(BLOCK):
        if transport.is_closing():
            return  # the client has gone: a closed TLS transport takes no more
        transport.write(data)
        await request.writer.drain()
