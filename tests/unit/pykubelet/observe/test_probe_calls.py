"""One probe call each, against servers of the test's own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from pykubelet.cri.fake import FakeRuntime
from pykubelet.model.container import (
    Container,
    ContainerPort,
    EnvVar,
    ExecAction,
    HTTPGetAction,
    HTTPHeader,
    Probe,
    TCPSocketAction,
)
from pykubelet.model.ids import ContainerId
from pykubelet.observe.probe_calls import Answer, Caller, Target, Unaskable


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[int]:
    async def ok(request: web.Request) -> web.Response:
        seen = f"{request.raw_path} {request.headers['User-Agent']} {request.headers.getall('X', [])}"
        return web.Response(text=seen, status=200 if request.headers.get("Expect-Me", "yes") == "yes" else 500)

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async def inside(_: web.Request) -> web.Response:
        raise web.HTTPFound("/ok")

    async def outside(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://198.18.255.1/")

    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=503)

    app = web.Application()
    app.add_routes(
        [
            web.get("/ok", ok),
            web.get("/slow", slow),
            web.get("/inside", inside),
            web.get("/outside", outside),
            web.get("/broken", broken),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def target(port: int = 0) -> Target:
    container = Container(
        name="c",
        ports=(ContainerPort(container_port=port or 80, name="web"),),
        env=(EnvVar(name="WHERE", value="/there"),),
    )
    return Target(ContainerId("id"), container, "127.0.0.1")


async def ask(probe: Probe, port: int) -> Answer:
    async with Caller(FakeRuntime()) as caller:
        return await caller.ask(probe, target(port))


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        pytest.param("/ok?a=%2Fb", Answer(True), id="200 is well"),
        pytest.param("/broken", Answer(False, "HTTP probe failed with statuscode: 503"), id="503 is not"),
        pytest.param("/inside", Answer(True), id="a redirect to the same host is followed"),
    ],
)
async def test_http(path: str, answer: Answer) -> None:
    async with serving() as port:
        probe = Probe(http_get=HTTPGetAction(port="web", path=path, http_headers=(HTTPHeader(name="X", value="1"),)))
        assert await ask(probe, port) == answer


async def test_a_redirect_to_another_host_is_a_warning() -> None:
    async with serving() as port:
        answer = await ask(Probe(http_get=HTTPGetAction(port=port, path="/outside")), port)
        assert (answer.ok, answer.warning) == (True, True)


async def test_a_slow_answer_is_a_failure() -> None:
    async with serving() as port:
        answer = await ask(Probe(http_get=HTTPGetAction(port=port, path="/slow"), timeout_seconds=1), port)
        assert not answer.ok
        assert "context deadline exceeded" in answer.message


async def test_tcp() -> None:
    async with serving() as port:
        assert await ask(Probe(tcp_socket=TCPSocketAction(port=port)), port) == Answer(True)
    refused = await ask(Probe(tcp_socket=TCPSocketAction(port=port)), port)
    assert refused.message == f"dial tcp 127.0.0.1:{port}: connect: connection refused"


async def test_a_port_name_that_the_container_does_not_have_cannot_be_asked() -> None:
    with pytest.raises(Unaskable, match="couldn't find port: nope"):
        await ask(Probe(tcp_socket=TCPSocketAction(port="nope")), 1)


async def test_a_command_in_a_container_that_does_not_run_cannot_be_asked() -> None:
    with pytest.raises(Unaskable):
        await ask(Probe(exec=ExecAction(command=("cat", "$(WHERE)"))), 1)
