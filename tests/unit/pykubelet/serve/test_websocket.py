"""What a client's WebSocket hears when its command's runtime answers, refuses or goes away."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from pykubelet.model.runtime_config import Streams
from pykubelet.serve import spdy, websocket
from pykubelet.serve.listening import Bounds, listening

ERROR, STDIN, STDOUT = 1, 3, 5  # streams, in the order in which they are asked for
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
REFUSED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\ngone away"
EXIT = b'{"metadata":{},"status":"Failure","reason":"NonZeroExitCode"}'
PING = bytes.fromhex("8003 0006 00000004 00000002")
RESET = bytes.fromhex("8003 0003 00000008 00000001 00000002")
FRAMES = spdy.Writer()

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def saying(*sent: bytes, heard: list[spdy.Frame] | None = None, until: int = 1) -> Script:
    """A runtime that upgrades, sends this and hangs up; first it hears frames until it has so many."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, frames = spdy.Reader(), heard if heard is not None else []
        writer.write(UPGRADED)
        while len(frames) < until:
            frames.extend(incoming.feed(await reader.read(1 << 16)))
        for data in sent:
            writer.write(data)

    return script


async def refusing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(REFUSED)


@contextlib.asynccontextmanager
async def client(script: Script) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A client's WebSocket to a server of ours, behind which the runtime follows the script."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"X-Stream-Protocol-Version: v4.channel.k8s.io\r\n" in await reader.readuntil(b"\r\n\r\n")
        await script(reader, writer)
        await writer.drain()
        writer.close()

    runtime = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{runtime.sockets[0].getsockname()[1]}/exec/token"

    async def exec_(request: web.Request) -> web.StreamResponse:
        assert websocket.offers(request, websocket.COMMANDS)
        return await websocket.command(request, url, Streams(stdin=True, stdout=True, stderr=False, tty=False))

    app, bounds = web.Application(), Bounds()
    app.add_routes([web.get("/exec", exec_)])
    async with (
        runtime,
        listening(app, "127.0.0.1", 0, tls=None, bounds=bounds) as port,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{port}/exec", protocols=[websocket.COMMANDS]) as connection,
    ):
        yield connection


def end(stream: int, data: bytes = b"") -> bytes:
    return FRAMES.data(stream, data, ends=True)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        pytest.param(
            [FRAMES.data(STDOUT, b"out"), end(STDOUT), end(ERROR, EXIT)],
            [b"\x01", b"\x01out", b"\x03" + EXIT],
            id="output, then how it ended, in the runtime's words",
        ),
        pytest.param([end(ERROR), end(STDOUT)], [b"\x01", b"\x03OK"], id="nothing said is a success"),
        pytest.param(
            [PING, RESET, end(STDOUT, b"x")],
            [b"\x01", b"\x01x", b"\x03OK"],
            id="a stream that is given up is one that ended",
        ),
        pytest.param([FRAMES.data(STDOUT, b"out")], [b"\x01", b"\x01out", b"\x03LOST"], id="a runtime that goes away"),
        pytest.param([FRAMES.data(9, b"?"), end(STDOUT), end(ERROR)], [b"\x01", b"\x03OK"], id="an unknown stream"),
    ],
)
async def test_the_client_hears_what_the_runtime_says(sent: list[bytes], said: list[bytes]) -> None:
    async with client(saying(*sent)) as connection, asyncio.timeout(5):
        heard = [message.data async for message in connection]
    assert heard[:-1] == said[:-1]
    status, expected = json.loads(heard[-1][1:]), said[-1][1:]
    match expected:
        case b"LOST":
            assert (status["status"], status["reason"]) == ("Failure", "InternalError")
        case b"OK":
            assert status["status"] == "Success"
        case _:
            assert status == json.loads(expected)


async def test_what_is_typed_reaches_the_runtime_and_so_does_its_end() -> None:
    frames: list[spdy.Frame] = []
    async with client(saying(end(STDOUT), end(ERROR), heard=frames, until=4)) as connection, asyncio.timeout(5):
        await connection.send_bytes(b"\x00typed")
        await connection.send_bytes(b"\x04resized, though there is no terminal")
        await connection.send_bytes(b"\x00more")
        await connection.send_bytes(b"\xff\x00")
        await connection.send_bytes(b"\x00after its end")
        assert (await connection.receive_bytes()) == b"\x01"
        assert (await connection.receive_bytes()).startswith(b"\x03")
    expected = [spdy.Data(ERROR, b"", True), spdy.Data(STDIN, b"typed", False), spdy.Data(STDIN, b"more", False)]
    assert frames == [*expected, spdy.Data(STDIN, b"", True)]


async def test_a_connection_that_breaks_is_told_of() -> None:
    async with client(saying(until=0)) as connection, asyncio.timeout(5):  # bytes unread reset a connection
        heard = [message.data async for message in connection]
    assert json.loads(heard[-1][1:])["reason"] == "InternalError"


async def test_a_client_that_goes_away_is_told_to_the_runtime() -> None:
    gone = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(UPGRADED)
        while await reader.read(1 << 16):
            pass
        gone.set()

    async with client(script) as connection, asyncio.timeout(5):
        assert (await connection.receive_bytes()) == b"\x01"
        await connection.close()
        await gone.wait()


async def test_a_runtime_that_refuses_is_quoted() -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        async with client(refusing):
            pass
    assert error.value.status == 404
