"""Clients that are too slow or too many."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from pykubelet.serve import listening, server
from pykubelet.serve.listening import Bounds

HELLO = b"GET /hello HTTP/1.1\r\nHost: x\r\n"


class Desk:
    """An endpoint that answers when it is told to."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.given_up = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        found = [web.get("/hello", self.now), web.put("/echo", self.echo)]
        found += [web.get("/slow", self.later), web.get("/exec/{rest:.*}", self.later)]
        return [*found, web.get("/containerLogs/a/b/long", self.long), web.get("/containerLogs/{rest:.*}", self.later)]

    async def now(self, _: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def echo(self, request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def later(self, _: web.Request) -> web.Response:
        await self.open.wait()
        return web.Response(text="at last")

    async def long(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(1 << 16))
        finally:
            self.given_up.set()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def port(desk: Desk) -> AsyncIterator[int]:
    async with served(desk, Bounds(head_seconds=0.2, requests=2, streams=1)) as found:
        yield found


@contextlib.asynccontextmanager
async def served(desk: Desk, bounds: Bounds) -> AsyncIterator[int]:
    """The port where the desk is served."""
    app = server.application(desk.routes(), guard=None, bounds=bounds)
    async with listening.listening(app, "127.0.0.1", 0, tls=None, bounds=bounds) as found:
        yield found


@contextlib.asynccontextmanager
async def unread(port: int) -> AsyncIterator[None]:
    """There is a client that asks for a long log and does not read it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 10)
    try:
        writer.write(b"GET /containerLogs/a/b/long HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readline()
        yield
    finally:
        writer.transport.abort()


async def ask(port: int, sent: bytes) -> bytes:
    """All that the server says until it closes the connection, or until its first answer is complete."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        return await reader.read(200)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(HELLO + b"\r\n", 200, id="a request"),
        pytest.param(b"", None, id="a client that says nothing is sent away"),
        pytest.param(HELLO, None, id="so is one that does not come to an end"),
        pytest.param(HELLO + b"A: " + b"x" * (1 << 17) + b"\r\n\r\n", 400, id="a header without end"),
        pytest.param(b"GET /hello?" + b"x" * 500_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 200, id="a long line"),
        pytest.param(b"GET /" + b"x" * (1 << 21), 400, id="a line that is too long"),
        pytest.param(b"\x16\x03\x01\x02\x00", 400, id="what is no HTTP"),
    ],
)
async def test_a_client_has_so_long_for_its_request(port: int, sent: bytes, status: int | None) -> None:
    async with asyncio.timeout(5):
        said = await ask(port, sent)
    assert (int(said.split()[1]) if said else None) == status


async def test_what_is_no_http_is_one_line_in_the_log(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.suppress(ConnectionResetError):  # what is not read any more makes the kernel reset the connection
        await ask(port, HELLO + b"A: " + b"x" * (1 << 17) + b"\r\n\r\n")
    records = [record for record in caplog.records if record.name.endswith(".http")]
    assert [(record.levelname, record.exc_info) for record in records] == [("INFO", None)]
    assert "127.0.0.1" in records[0].getMessage()


async def test_a_body_that_is_too_large_is_not_taken(port: int) -> None:
    head = f"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 17}\r\n\r\n".encode()
    assert (await ask(port, head + bytes(1 << 17))).startswith(b"HTTP/1.1 413")


async def status(port: int, path: str) -> int:
    said = await ask(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return int(said.split()[1])


@pytest.mark.parametrize("stream", ["/exec/a/b/c", "/containerLogs/a/b/c", "/containerLogs/a/b/c?follow=true"])
async def test_requests_beyond_the_bound_are_refused_and_streams_are_counted_apart(
    port: int, desk: Desk, stream: str
) -> None:
    async with asyncio.TaskGroup() as group:
        served = [group.create_task(status(port, "/slow")) for _ in range(2)]
        streams = [group.create_task(status(port, stream))]
        await asyncio.sleep(0.1)
        assert await status(port, "/hello") == 429
        assert await status(port, stream) == 429
        desk.open.set()
    assert [task.result() for task in (*served, *streams)] == [200, 200, 200]
    assert await status(port, "/hello") == 200


async def test_a_client_that_does_not_read_keeps_its_place_for_a_while(port: int, desk: Desk) -> None:
    async with asyncio.timeout(5), unread(port):
        assert await status(port, "/containerLogs/a/b/c") == 429
        assert await status(port, "/hello") == 200
        assert not desk.given_up.is_set()


async def test_a_client_that_does_not_read_gives_its_place_up_when_another_wants_it(desk: Desk) -> None:
    desk.open.set()
    async with served(desk, Bounds(streams=1, stalled_seconds=0.1)) as port, asyncio.timeout(5), unread(port):
        while (found := await status(port, "/containerLogs/a/b/c")) == 429:
            assert not desk.given_up.is_set()
        assert found == 200
        await desk.given_up.wait()


async def test_a_request_that_takes_long_is_waited_for(port: int, desk: Desk) -> None:
    asking = asyncio.create_task(ask(port, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"))
    await asyncio.sleep(0.5)  # longer than a head may take
    desk.open.set()
    assert (await asking).startswith(b"HTTP/1.1 200")


async def test_a_client_whose_machine_vanishes_is_noticed(desk: Desk) -> None:
    taken: list[socket.socket] = []

    class Seen(Bounds):
        def connected(self, client: asyncio.BaseProtocol, transport: asyncio.BaseTransport) -> None:
            super().connected(client, transport)
            taken.append(transport.get_extra_info("socket"))

        def heard(self, client: asyncio.BaseProtocol | None) -> None:
            super().heard(client)
            if taken and taken[0].fileno() >= 0:
                said.append(tuple(taken[0].getsockopt(*option) for option in options))

    tcp = socket.IPPROTO_TCP
    options = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        (tcp, socket.TCP_KEEPIDLE),
        (tcp, socket.TCP_KEEPINTVL),
        (tcp, socket.TCP_KEEPCNT),
    ]
    said: list[tuple[int, ...]] = []
    async with served(desk, Seen()) as port:
        assert await status(port, "/hello") == 200
    assert said[0] == (1, 15, 15, 9)
