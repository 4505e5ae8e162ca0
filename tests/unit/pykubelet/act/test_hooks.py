"""HTTP hooks of containers, told to servers of the test's own; time is virtual."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from nodekit.aio.virtual import run
from pykubelet.act import hooks
from pykubelet.cri.fake import FakeRuntime
from pykubelet.model.container import Container, Handler, HTTPGetAction, HTTPHeader
from pykubelet.model.ids import ContainerId


class Server:
    """Notes what it is told. `takes` seconds pass before it answers at /slow; /to leads to `leads_to`."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.warnings: list[tuple[str, str]] = []
        self.headers: list[str] = []
        self.takes, self.leads_to, self.port = 0.0, "", 0

    async def answer(self, request: web.Request) -> web.Response:
        self.told.append(request.path)
        self.headers = [name for name, _ in request.headers.items()]
        if request.path == "/slow":
            await asyncio.sleep(self.takes)
        if request.path == "/to":
            raise web.HTTPFound(self.leads_to)
        if request.path == "/cut" and request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        app = web.Application()
        app.add_routes([web.get("/{any:.*}", self.answer)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def tell(self, path: str, *, port: int | str = 0, scheme: str = "", header: str = "X") -> None:
        asked = HTTPGetAction(
            port=port or self.port, path=path, scheme=scheme, http_headers=(HTTPHeader(name=header, value="1"),)
        )
        target = hooks.Target(ContainerId("id"), Container(name="c"), "127.0.0.1")
        made = hooks.Hooks(FakeRuntime(), warn=lambda reason, message: self.warnings.append((reason, message)))
        await made.run(Handler(http_get=asked), target)


def with_server(scenario: Callable[[Server], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with Server().running() as server:
            await scenario(server)

    run(whole())


def test_any_answer_is_good_enough() -> None:
    async def scenario(server: Server) -> None:
        await server.tell("/x")
        assert server.told == ["/x"]

    with_server(scenario)


def test_a_hook_takes_the_time_it_takes() -> None:
    async def scenario(server: Server) -> None:
        server.takes = 1000.0
        await server.tell("/slow")
        assert asyncio.get_running_loop().time() >= 1000

    with_server(scenario)


def test_a_redirect_is_followed_on_the_same_host() -> None:
    async def scenario(server: Server) -> None:
        server.leads_to = "/end"
        await server.tell("/to")
        assert server.told == ["/to", "/end"]

    with_server(scenario)


def test_a_redirect_to_another_host_is_not_followed() -> None:
    async def scenario(server: Server) -> None:
        server.leads_to = f"http://localhost:{server.port}/elsewhere"
        await server.tell("/to")
        assert server.told == ["/to"]

    with_server(scenario)


def test_a_redirect_that_goes_round_fails_the_hook() -> None:
    async def scenario(server: Server) -> None:
        server.leads_to = "/to"
        with pytest.raises(hooks.HookFailed, match="stopped after 10 redirects"):
            await server.tell("/to")

    with_server(scenario)


def test_a_server_without_tls_is_told_without_credentials() -> None:
    async def scenario(server: Server) -> None:
        await server.tell("/x", scheme="HTTPS", header="authorization")
        assert server.told == ["/x"]
        assert "authorization" not in server.headers
        ((reason, message),) = server.warnings
        assert reason == "LifecycleHTTPFallback"
        assert f"HTTPS lifecycle hook 127.0.0.1:{server.port} got HTTP response" in message

    with_server(scenario)


@pytest.mark.parametrize(
    ("path", "port", "header", "message"),
    [
        pytest.param("/cut", 0, "X", r"HTTP lifecycle hook \(/cut\) failed: .+", id="no answer"),
        pytest.param("/x", "nope", "X", "couldn't find port: nope in container c", id="no such port"),
        pytest.param("/x", 0, "X\r\nY", r"failed: .+", id="no header"),
    ],
)
def test_what_goes_wrong_is_said(path: str, port: int | str, header: str, message: str) -> None:
    async def scenario(server: Server) -> None:
        with pytest.raises(hooks.HookFailed, match=message):
            await server.tell(path, port=port, header=header)

    with_server(scenario)


def test_an_error_without_words_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object, **__: object) -> None:
        raise ConnectionResetError

    async def scenario(server: Server) -> None:
        monkeypatch.setattr("aiohttp.ClientSession.get", silent)
        with pytest.raises(hooks.HookFailed, match="failed: ConnectionResetError"):
            await server.tell("/x")

    with_server(scenario)
