"""A client's WebSocket joined with the runtime's SPDY: exec and attach message by message, port-forward byte by byte.

Messages of exec and attach begin with a byte that says which channel they are of; v5 can close one, which a WebSocket
towards the runtime could not say. Source: KEP-4006, k8s.io/apimachinery pkg/util/remotecommand/constants.go.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from aiohttp import ClientError, WSMsgType, web

from pykubelet.model.runtime_config import Streams
from pykubelet.serve import dial, spdy, tunnel

COMMANDS: Final = "v5.channel.k8s.io"
PORTS: Final = "SPDY/3.1+portforward.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
CLOSING: Final = 2.0
"""Seconds that a client has to say goodbye."""
_UPSTREAM_COMMANDS: Final = "v4.channel.k8s.io"
_UPSTREAM_PORTS: Final = "portforward.k8s.io"
_SUCCESS: Final = b'{"metadata":{},"status":"Success"}'
_LOST: Final = (
    b'{"metadata":{},"status":"Failure","message":"the container runtime closed the stream","reason":"InternalError",'
    b'"code":500}'
)

log = logging.getLogger(__name__)


def offers(request: web.Request, protocol: str) -> bool:
    """Whether it asks for a WebSocket and this is one of its subprotocols."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return False
    lines = request.headers.getall("Sec-WebSocket-Protocol", [])
    return protocol in (word.strip() for line in lines for word in line.split(","))


async def command(request: web.Request, url: str, wanted: Streams) -> web.StreamResponse:
    """Join the client with the command that waits at `url`, until it ends or the client goes."""

    async def join(socket: web.WebSocketResponse, runtime: dial.Upgraded) -> None:
        joined = _Command(socket, runtime)
        await joined.open(wanted)
        await _first(joined.upward(), joined.downward())

    return await _joined(request, url, (COMMANDS, _UPSTREAM_COMMANDS), join)


async def ports(request: web.Request, url: str) -> web.StreamResponse:
    """Carry the client's SPDY to what waits at `url`, until either side ends."""

    async def join(socket: web.WebSocketResponse, runtime: dial.Upgraded) -> None:
        async def upward() -> None:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    runtime.writer.write(message.data)
                    await runtime.writer.drain()

        async def downward() -> None:
            while data := await runtime.reader.read(tunnel.BLOCK):
                await socket.send_bytes(data)

        await _first(upward(), downward())

    return await _joined(request, url, (PORTS, _UPSTREAM_PORTS), join)


async def _joined(
    request: web.Request,
    url: str,
    protocols: tuple[str, str],
    join: Callable[[web.WebSocketResponse, dial.Upgraded], Awaitable[None]],
) -> web.StreamResponse:
    """`protocols` are the client's and the runtime's."""
    try:
        async with dial.upgraded(url, _upgrade(protocols[1])) as runtime:
            socket = web.WebSocketResponse(protocols=[protocols[0]], timeout=CLOSING, compress=False)
            await socket.prepare(request)
            await join(socket, runtime)
            await socket.close()
            return socket
    except dial.NotUpgraded as refusal:
        return refusal.answer()


class _Command:
    """The channels of one exec or attach, and the streams that they are joined with."""

    def __init__(self, socket: web.WebSocketResponse, runtime: dial.Upgraded) -> None:
        self._socket, self._reader, self._writer = socket, runtime.reader, runtime.writer
        self._frames = spdy.Writer()
        self._streams: dict[int, int] = {}  # of channels
        self._channels: dict[int, int] = {}  # of streams
        self._status = bytearray()

    async def open(self, wanted: Streams) -> None:
        """Ask the runtime for the streams, and tell the client that it may begin."""
        names = {ERROR: "error"}
        names |= {STDIN: "stdin"} if wanted.stdin else {}
        names |= {STDOUT: "stdout"} if wanted.stdout else {}
        names |= {STDERR: "stderr"} if wanted.stderr else {}
        names |= {RESIZE: "resize"} if wanted.tty else {}
        for channel, name in names.items():
            stream, frame = self._frames.open({"streamtype": name})
            self._streams[channel], self._channels[stream] = stream, channel
            self._writer.write(frame)
        # Nothing more is said on the error stream from this side.
        self._writer.write(self._frames.data(self._streams[ERROR], b"", ends=True))
        lowest = min(channel for channel in (STDOUT, STDERR, ERROR) if channel in names)
        await self._socket.send_bytes(bytes([lowest]))

    async def upward(self) -> None:
        """Until the client goes. Where the runtime has gone, `downward` sees it and has the last word."""
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel == CLOSE and data and (stream := self._streams.pop(data[0], None)) is not None:
                self._writer.write(self._frames.data(stream, b"", ends=True))
            elif channel in (STDIN, RESIZE) and channel in self._streams and data:
                self._writer.write(self._frames.data(self._streams[channel], data))
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()

    async def downward(self) -> None:
        """Until the command has ended and the client was told how."""
        open_ = {stream for stream, channel in self._channels.items() if channel in (STDOUT, STDERR, ERROR)}
        incoming = spdy.Reader()
        lost = False
        while open_ and not lost:
            try:
                data = await self._reader.read(tunnel.BLOCK)
            except ConnectionError:
                data = b""
            lost = not data
            for frame in incoming.feed(data):
                match frame:
                    case spdy.Data():
                        await self._take(self._channels.get(frame.stream), frame.data)
                        if frame.ends:
                            open_.discard(frame.stream)
                    case spdy.Reset():
                        open_.discard(frame.stream)
                    case spdy.Ping():
                        self._writer.write(frame.frame)
                    case spdy.GoAway():
                        continue
        ended = bytes(self._status) or (_LOST if lost else _SUCCESS)
        await self._socket.send_bytes(bytes([ERROR]) + ended)

    async def _take(self, channel: int | None, data: bytes) -> None:
        if channel == ERROR:
            self._status += data[: dial.HEAD_LIMIT - len(self._status)]
        elif channel in (STDOUT, STDERR) and data:
            await self._socket.send_bytes(bytes([channel]) + data)


def _upgrade(protocol: str) -> Callable[[str, str], bytes]:
    def head(path: str, host: str) -> bytes:
        lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Connection: Upgrade", f"Upgrade: {spdy.UPGRADE}"]
        return "\r\n".join([*lines, f"X-Stream-Protocol-Version: {protocol}", "Content-Length: 0", "", ""]).encode()

    return head


async def _first(*work: Coroutine[Any, Any, None]) -> None:
    """Until one of them has ended; the others are cancelled."""
    tasks = [asyncio.create_task(one, name="a WebSocket's way") for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            # A ConnectionError is an end that went away; ClientError is aiohttp's word for it.
            if isinstance(result, Exception) and not isinstance(result, ConnectionError | ClientError):
                log.warning("a WebSocket broke: %r", result)
