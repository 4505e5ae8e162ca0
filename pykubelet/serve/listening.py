"""Listens, and sends clients away that are too slow or too many.

The genuine kubelet bounds neither; a node that runs Pods of strangers has to. Who is slow only in reading its answer,
as a person in a pager is, is sent away when others want the place.
"""

import asyncio
import contextlib
import logging
import math
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from nodekit import keepalive

SHUTDOWN: Final = 2.0
"""Seconds that open requests are given at the end."""
LINE_LIMIT: Final = 1 << 20
"""Bytes of a request's first line, which has all of a command's words: as many as the genuine kubelet takes in all."""
FIELD_LIMIT: Final = 1 << 16
"""Bytes of one header: a token can be long."""
BODY_LIMIT: Final = 1 << 16
"""Bytes of a body: none of the endpoints takes a large one."""
HEAD_SECONDS: Final = 30.0
"""How long a client may take from its connection to the end of its first request's headers."""
IDLE_SECONDS: Final = 90.0
"""How long a connection is kept between two requests, as in the genuine one."""
PROBE_SECONDS: Final = 15
PROBES: Final = 9
"""A silent client's machine is asked so often whether it is there, and is gone after so many probes without an answer,
as in the genuine one."""
REQUESTS: Final = 400
"""At once; more are answered 429. Streams (exec, attach, port-forward, logs) are counted apart."""
STREAMS: Final = 1000
STALLED_SECONDS: Final = 60.0
"""Who has read nothing of its answer for so long gives its place up to the next when all are taken."""

_STREAMS: Final = ("/exec/", "/attach/", "/portForward/", "/containerLogs/")

log = logging.getLogger(__name__)


class Bounds:
    """Counts the requests that are being served, and the clients that have yet to make one."""

    def __init__(
        self,
        *,
        head_seconds: float = HEAD_SECONDS,
        requests: int = REQUESTS,
        streams: int = STREAMS,
        stalled_seconds: float = STALLED_SECONDS,
    ) -> None:
        self._head_seconds = head_seconds
        self._stalled_seconds = stalled_seconds
        self._most = {False: requests, True: streams}
        # By their clients; a connection has one request at a time.
        self._serving: dict[bool, dict[asyncio.BaseProtocol, web.Request]] = {False: {}, True: {}}
        # Since when, by the loop's time, clients have not read what is written to them.
        self._stalled: dict[asyncio.BaseProtocol, float] = {}
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}

    def connected(self, client: asyncio.BaseProtocol, transport: asyncio.BaseTransport) -> None:
        """A client has yet to ask for something."""
        loop = asyncio.get_running_loop()
        self._silent[client] = loop.call_later(self._head_seconds, transport.close)

    def heard(self, client: asyncio.BaseProtocol | None) -> None:
        """It has asked, or gone."""
        if client is not None and (timer := self._silent.pop(client, None)):
            timer.cancel()

    def stalled(self, client: asyncio.BaseProtocol) -> None:
        """It does not read: what is to be sent to it waits."""
        self._stalled[client] = asyncio.get_running_loop().time()

    def reads(self, client: asyncio.BaseProtocol) -> None:
        """It has read, or gone."""
        self._stalled.pop(client, None)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Serve the request, or answer 429."""
        self.heard(request.protocol)
        stream = request.path.startswith(_STREAMS)
        serving = self._serving[stream]
        if len(serving) >= self._most[stream] and not self._makes_room(serving):
            return web.Response(status=429, text="too many requests at once\n", headers={"Retry-After": "1"})
        client = request.protocol
        serving[client] = request
        try:
            return await handler(request)
        finally:
            serving.pop(client, None)

    def _makes_room(self, serving: dict[asyncio.BaseProtocol, web.Request]) -> bool:
        """Send the client away that has read nothing for longest, if it is long enough."""
        late = asyncio.get_running_loop().time() - self._stalled_seconds
        client = min(serving, key=lambda one: self._stalled.get(one, math.inf), default=None)
        if client is None or self._stalled.get(client, math.inf) > late:
            return False
        request = serving.pop(client)
        log.info("%s %s from %s: gives its place up, as it is not read", request.method, request.path, request.remote)
        if request.transport is not None:
            request.transport.abort()
        return True


class _Short(logging.Filter):
    """What somebody sent that is no HTTP is their mistake: a line, and no traceback of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.exc_info = None
            record.msg += ": %.200r"
            record.args = (*(record.args if isinstance(record.args, tuple) else ()), error.message)
        return True


def _log() -> logging.Logger:
    found = logging.getLogger(f"{__name__}.http")
    if not found.filters:
        found.addFilter(_Short())
    return found


def _probe(transport: asyncio.BaseTransport) -> None:
    """Notice within two and a half minutes that a client's machine is gone, as streams may be silent for long."""
    taken: socket.socket = transport.get_extra_info("socket")
    keepalive.probe(taken, idle=PROBE_SECONDS, every=PROBE_SECONDS, times=PROBES)


class _Timed(asyncio.Protocol):
    """Passes everything on to aiohttp's side of a connection, telling when it begins, is not read, and ends."""

    def __init__(self, inner: asyncio.Protocol, bounds: Bounds) -> None:
        self._inner = inner
        self._bounds = bounds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _probe(transport)
        self._bounds.connected(self._inner, transport)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._bounds.heard(self._inner)
        self._bounds.reads(self._inner)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._bounds.stalled(self._inner)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._bounds.reads(self._inner)
        self._inner.resume_writing()


@contextlib.asynccontextmanager
async def listening(
    app: web.Application, address: str, port: int, *, tls: ssl.SSLContext | None, bounds: Bounds
) -> AsyncIterator[int]:
    """Serve while within; the value is the port (of use if 0 was asked for). Raises OSError if it is taken.

    An empty address or `0.0.0.0` is every address, IPv6 too where there is.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_log(),
        handler_cancellation=True,
        shutdown_timeout=SHUTDOWN,
        keepalive_timeout=IDLE_SECONDS,
        max_line_size=LINE_LIMIT,
        max_field_size=FIELD_LIMIT,
    )
    await runner.setup()
    serve = runner.server
    assert serve is not None
    host = None if address in ("", "0.0.0.0", "::") else address
    try:
        server = await asyncio.get_running_loop().create_server(
            lambda: _Timed(serve(), bounds), host, port, ssl=tls, reuse_address=True, backlog=128
        )
        try:
            found: socket.socket = server.sockets[0]
            yield found.getsockname()[1]
        finally:
            server.close()
    finally:
        await runner.cleanup()
