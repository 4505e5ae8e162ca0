"""Requests to an API server over HTTP, moved to the next server when one does not answer. Bodies are bytes.

The servers of a cluster are in order of preference: while another than the first is asked, those before it are tried
every few seconds. What still streams from a server that failed is ended, so that it is begun anew at the next.
"""

import asyncio
import contextlib
import datetime as dt
import logging
import socket
import ssl
import time
import weakref
from asyncio import sslproto
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Self, TypeVar

import aiohttp
import msgspec
import yarl

from nodekit import keepalive
from nodekit.aio.bounded import Limiter
from nodekit.kube import auth, distrust, errors
from nodekit.kube.request import Meter, Request
from nodekit.objects import codec, status

log = logging.getLogger(__name__)

T = TypeVar("T")

_CONNECT_TIMEOUT: Final = 5.0
# A server that takes the request and says nothing for so long is left, when there is another.
_ANSWER_TIMEOUT: Final = 10.0
# How often the servers that are preferred to the one in use are tried.
_RETURN_PERIOD: Final = 5.0
# Each request more at the same time is a connection more, whose TLS handshake costs as much as ten requests.
_SIDE_BY_SIDE: Final = 12
# Seconds. A handshake is most of what a first request costs; the API server closes a connection idle for 90 s.
_KEEP_ALIVE: Final = 80
# A server that asks for patience is given it this often, and never for longer than this at once.
_PATIENCE: Final = 3
_LONGEST_PATIENCE: Final = 10.0
# The loop tells a connection that it ended in its next round, and the layers above it one round later each.
_ROUNDS_TO_CLOSE: Final = 20
# asyncio keeps a read buffer of 256 KiB for each TLS connection, and a node has a connection for each ConfigMap and
# Secret that it watches: 200 watches hold 64 MiB so, and 20 MiB with this. A TLS record has 16 KiB at most.
_TLS_BUFFER: Final = 32 * 1024


class Transport:
    """A pool of connections to one cluster's API servers: `async with Transport(credentials) as transport`."""

    def __init__(self, credentials: auth.Credentials, *, user_agent: str = "nodekit") -> None:
        self.credentials = credentials
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._preferred = 0
        self._side_by_side = Limiter(_SIDE_BY_SIDE)
        self._away = False
        self._back = asyncio.Event()
        self._streams: set[tuple[str, aiohttp.ClientResponse]] = set()
        self._returning: asyncio.Task[None] | None = None
        # Of the connections that stand, and of some that are closed.
        self.sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.meter: Meter | None = None

    @property
    def server(self) -> str:
        """The server that is asked first."""
        return self.credentials.cluster.servers[self._preferred]

    async def __aenter__(self) -> Self:
        sslproto.SSLProtocol.max_size = _TLS_BUFFER
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE, socket_factory=self._socket),
            # Compression costs both sides more time than a node's network does.
            headers={"User-Agent": self._user_agent, "Accept": "application/json", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._returning is not None:
            self._returning.cancel()
            await asyncio.wait([self._returning])
        if self._session is not None:
            await self._session.close()
        await self._cut()

    async def _cut(self) -> None:
        """End connections of requests that were given up: they wait for TLS's goodbye, and the loop may end before."""
        for one in self.sockets:
            with contextlib.suppress(OSError):  # it is closed, or its peer is gone
                one.shutdown(socket.SHUT_RDWR)
        for _ in range(_ROUNDS_TO_CLOSE):
            if all(one.fileno() < 0 for one in self.sockets):
                break
            await asyncio.sleep(0)

    def _socket(self, address: tuple[Any, ...]) -> socket.socket:
        made = _socket(address)
        self.sockets.add(made)
        return made

    async def reached(self) -> None:
        """Wait until a server answers after none did."""
        await self._back.wait()

    async def ask(self, request: Request, *, timeout: float) -> bytes:
        """The answer's body. Raises the ApiError that fits; Unreachable when no server answered within `timeout`."""
        host = _host(self.server)
        began = time.monotonic()
        received: int | None = None
        try:
            body = await self._signed_in(request, lambda: self._asked(request, timeout))
            received = len(body)
            return body
        finally:
            if self.meter is not None:
                took, sent = time.monotonic() - began, len(request.body or b"")
                self.meter.asked(request.method, host, seconds=took, sent=sent, received=received)

    async def _asked(self, request: Request, timeout: float) -> bytes:
        async with self._answering(request, timeout):
            for patience in range(_PATIENCE, -1, -1):
                try:
                    async with self._side_by_side, self._open(request) as answer:
                        return await answer.read()
                except errors.ApiError as error:
                    # With Retry-After the server says that it did not act on the request.
                    if error.retry_after is None or not patience or not error.transient:
                        raise
                    await asyncio.sleep(min(error.retry_after, _LONGEST_PATIENCE))
        raise AssertionError("unreachable: the last round returns or raises")

    @contextlib.asynccontextmanager
    async def stream(self, request: Request, *, timeout: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """The answer's body as it comes; errors while it is read become ApiErrors too.

        Unreachable if it does not begin within `timeout`; it may take as long as it likes from then on.
        """
        async with contextlib.AsyncExitStack() as opened:

            async def begin() -> aiohttp.ClientResponse:
                async with self._answering(request, timeout):
                    return await opened.enter_async_context(self._open(request))

            answer = await self._signed_in(request, begin)
            entry = (_server_of(answer), answer)
            self._streams.add(entry)
            try:
                yield answer.content.iter_any()
            finally:
                self._streams.discard(entry)

    async def _signed_in(self, request: Request, attempt: Callable[[], Awaitable[T]]) -> T:
        """What an attempt gives; once more, signed in anew, if the server did not know us.

        A plugin that signs in may take longer than a server may be silent: its time is not the server's.
        """
        await self._sign_in(request)
        try:
            return await attempt()
        except errors.Unauthorized:
            if not self.credentials.refused():
                raise
        await self._sign_in(request)
        return await attempt()

    async def _sign_in(self, request: Request) -> None:
        try:
            await self.credentials.prepare()
        except auth.AuthError as error:
            raise errors.Unauthorized(request.says, server=self.server, message=str(error)) from error

    @contextlib.asynccontextmanager
    async def _answering(self, request: Request, timeout: float) -> AsyncIterator[None]:
        """Leave a server that is silent for so long, or for less when there is another; raises Unreachable."""
        servers = self.credentials.cluster.servers
        if len(servers) > 1:
            timeout = min(timeout, _ANSWER_TIMEOUT)
        asked = self._preferred
        try:
            async with asyncio.timeout(timeout):
                yield
        except TimeoutError as error:
            if asked == self._preferred:
                self._move(servers[(asked + 1) % len(servers)])
            message = f"no answer within {timeout:g}s"
            raise errors.Unreachable(request.says, server=servers[asked], message=message) from error

    @contextlib.asynccontextmanager
    async def _open(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, once its status is known to be a success; errors while it is read become ApiErrors too."""
        answer, server = await self._connect(request)
        try:
            if answer.status >= 300:
                raise _error_of(request, answer, server=server, body=await answer.read())
            yield answer
        except (aiohttp.ClientError, OSError) as error:
            raise errors.Unreachable(request.says, server=server, message=_words(error)) from error
        finally:
            _hang_up(answer)

    async def _connect(self, request: Request) -> tuple[aiohttp.ClientResponse, str]:
        if self.credentials.reread():
            self._other_cluster()
        servers = self.credentials.cluster.servers
        first = self._preferred
        last: errors.Unreachable | None = None
        for turn in range(len(servers)):
            number = (first + turn) % len(servers)
            try:
                answer = await self._counted(request, servers[number])
            except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError) as error:
                # Nothing was sent yet, so another server may be asked whatever the verb.
                self._away = True
                last = errors.Unreachable(request.says, server=servers[number], message=_words(error))
            except (aiohttp.ClientError, OSError) as error:
                self._move(servers[(number + 1) % len(servers)])
                raise errors.Unreachable(request.says, server=servers[number], message=_words(error)) from error
            else:
                if number != first and self._preferred == first:
                    self._move(servers[number])
                self._answered()
                return answer, servers[number]
        assert last is not None
        raise last

    async def _counted(self, request: Request, server: str) -> aiohttp.ClientResponse:
        code: int | None = None
        try:
            answer = await self._send(request, server)
            code = answer.status
            return answer
        finally:
            if self.meter is not None:
                self.meter.answered(request.method, _host(server), code=code)

    def _other_cluster(self) -> None:
        """Begin with the first server of those there are now; what streams from others is ended."""
        self._preferred = 0
        servers = {_origin(server) for server in self.credentials.cluster.servers}
        for server, answer in list(self._streams):
            if server not in servers:
                answer.close()

    def _move(self, server: str) -> None:
        """Ask another server first from now on; what streams from the one before is ended.

        Nothing, if it is none any more: the kubeconfig may have changed while a request was under way.
        """
        before, servers = self.server, self.credentials.cluster.servers
        if server == before or server not in servers:
            return
        self._preferred = servers.index(server)
        log.info("the API server is now %s, not %s", self.server, before)
        for server, answer in list(self._streams):
            if server == _origin(before):
                answer.close()
        if self._preferred and (self._returning is None or self._returning.done()):
            self._returning = asyncio.create_task(self._return(), name="return to the first API server")

    async def _return(self) -> None:
        """Try the servers that are preferred to the one in use until the first is in use again."""
        while self._preferred:
            await asyncio.sleep(_RETURN_PERIOD)
            for server in self.credentials.cluster.servers[: self._preferred]:
                if await self._is_ready(server):
                    self._move(server)
                    break

    async def _is_ready(self, server: str) -> bool:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                answer = await self._send(Request("GET", "/readyz", "get /readyz"), server)
                # Who may not ask learns all the same that the server answers.
                answer.close()
                return answer.status < 500
        except (aiohttp.ClientError, OSError, errors.ApiError):
            return False

    def _answered(self) -> None:
        if self._away:
            self._away = False
            self._back.set()
            self._back = asyncio.Event()

    async def _send(self, request: Request, server: str) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the transport is used outside of its `async with` block")
        more: dict[str, Any] = {}
        try:
            if server.startswith("https"):
                more["ssl"] = self.credentials.tls()
                if self.credentials.cluster.server_name:
                    more["server_hostname"] = self.credentials.cluster.server_name
            headers = self.credentials.headers()
        except auth.AuthError as error:
            raise errors.Unauthorized(request.says, server=server, message=str(error)) from error
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        return await self._session.request(
            request.method,
            server + request.path,
            params=request.query,
            data=request.body,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT),
            allow_redirects=False,
            **more,
        )


def _error_of(request: Request, answer: aiohttp.ClientResponse, *, server: str, body: bytes) -> errors.ApiError:
    retry_after: float | None = None
    with contextlib.suppress(KeyError, ValueError):
        retry_after = float(answer.headers["Retry-After"])
    try:
        said = codec.decode(status.Status, body)
    except codec.DecodeError:
        said = status.Status()
    if said.kind != "Status":
        said = status.Status(message=body[:500].decode(errors="replace").strip() or answer.reason or "")
    said = msgspec.structs.replace(said, code=answer.status)
    return errors.of(request.says, said, server=server, retry_after=retry_after)


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _origin(url: str) -> str:
    return str(yarl.URL(url).origin())


def _server_of(answer: aiohttp.ClientResponse) -> str:
    return _origin(str(answer.url))


def _hang_up(answer: aiohttp.ClientResponse) -> None:
    """Close the connection of an answer that was not read to its end; one that was is back in the pool already."""
    if answer.connection is not None and answer.connection.transport is not None:
        # TLS's goodbye takes a round trip that nobody waits for: the loop would end before it.
        answer.connection.transport.abort()
    answer.close()


def _words(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        distrusted = error.certificate_error
        if isinstance(distrusted, ssl.SSLCertVerificationError):
            return distrust.words(distrusted, now=dt.datetime.now(dt.UTC))
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        # aiohttp's own words hold the repr of an SSL context, which tells nobody anything.
        return f"cannot connect: {error.os_error.strerror or error.os_error}"
    return str(error) or type(error).__name__


def _socket(address: tuple[Any, ...]) -> socket.socket:
    """A TCP socket that notices within 16 seconds that its peer is gone, as watches may be silent for long."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    keepalive.probe(made, idle=10, every=2, times=3)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 16_000)
    return made
