"""healthCheckNodePorts: when each is open, and what it answers. On ports of this machine."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from nodekit.objects.meta import Key
from pyproxy.report import service_health
from pyproxy.report.service_health import Check, ServiceHealth

A, B = Key("ns", "a"), Key("ns", "b")


def take_port() -> tuple[socket.socket, int]:
    """A port that is in use until the socket is closed."""
    taken = socket.create_server(("127.0.0.1", 0))
    return taken, int(taken.getsockname()[1])


def free_port() -> int:
    taken, port = take_port()
    taken.close()
    return port


def is_open(port: int, *, at: str = "127.0.0.2") -> bool:
    """Whether somebody listens at that address; looked up without a connection, which would outlive the server."""
    try:
        socket.create_server((at, port)).close()
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a port tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports are opened in threads, which virtual time does not wait for."""
    monkeypatch.setattr(service_health, "_RETRY_AFTER", 0.02)


class Scene:
    """Health checks that run, whether the proxy is in sync, and what was refused."""

    def __init__(self) -> None:
        self.healthy = True
        self.refused: list[tuple[Key, str]] = []
        self.hosts = ["0.0.0.0"]
        self.checks = ServiceHealth(
            lambda: self.healthy, refused=lambda *told: self.refused.append(told), hosts=lambda: self.hosts
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.checks.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def put(self, service: Key, port: int | None, *, endpoints: int = 1) -> None:
        self.checks.put(service, None if port is None else Check(service, port, endpoints))

    async def refusals(self, count: int) -> None:
        await until(lambda: len(self.refused) >= count)
        assert len(self.refused) == count


async def test_a_port_is_open_while_its_service_has_it() -> None:
    scene, first, second = Scene(), free_port(), free_port()
    async with scene.running():
        scene.put(A, first)
        await until(lambda: is_open(first))
        scene.put(A, second)
        await until(lambda: is_open(second))
        assert not is_open(first)
        scene.put(A, None)
        await until(lambda: not is_open(second))
        scene.put(A, first)
        await until(lambda: is_open(first))
    assert not is_open(first)
    assert scene.refused == []


async def test_a_port_in_use_is_tried_again_and_told_of_once() -> None:
    scene, other = Scene(), free_port()
    taken, port = take_port()
    with taken:
        async with scene.running():
            scene.put(A, port)
            await scene.refusals(1)
            service, text = scene.refused[0]
            assert service == A
            assert f"on port {port}" in text
            scene.put(B, other)
            await until(lambda: is_open(other))  # one that is refused holds up nobody, and has been tried again
            taken.close()
            await until(lambda: is_open(port))
    assert len(scene.refused) == 1


async def test_each_port_that_is_refused_is_told() -> None:
    scene = Scene()
    (one, first), (two, second) = take_port(), take_port()
    with one, two:
        async with scene.running():
            for count, port in enumerate((first, second, first), start=1):
                scene.put(A, port)
                await scene.refusals(count)
                assert f"on port {port}" in scene.refused[-1][1]


async def test_one_port_goes_from_a_service_to_another() -> None:
    scene, port = Scene(), free_port()
    async with scene.running():
        scene.put(A, port)
        await until(lambda: is_open(port))
        scene.put(A, None)
        scene.put(B, port)
        async with aiohttp.ClientSession() as session:
            await until(lambda: scene.checks._runners.keys() == {B})
            async with session.get(f"http://127.0.0.1:{port}") as answer:
                assert (await answer.json())["service"]["name"] == "b"
    assert scene.refused == []


async def test_after_a_crash_all_ports_are_opened_again() -> None:
    def crash(service: Key, message: str) -> None:
        raise RuntimeError("the recorder is broken")

    checks, port = ServiceHealth(lambda: True, refused=crash), free_port()
    taken, refused = take_port()
    with taken:
        task = asyncio.create_task(checks.run())
        checks.put(A, Check(A, port, 1))
        await until(lambda: is_open(port))
        checks.put(B, Check(B, refused, 1))
        with pytest.raises(RuntimeError):
            await task
        assert not is_open(port)
    again = asyncio.create_task(checks.run())
    await until(lambda: is_open(port) and is_open(refused))
    again.cancel()
    await asyncio.wait({again})


@pytest.mark.parametrize(
    ("endpoints", "healthy", "status"),
    [
        pytest.param(2, True, 200, id="endpoints and in sync"),
        pytest.param(0, True, 503, id="no endpoint on this node"),
        pytest.param(2, False, 503, id="endpoints of the past"),
    ],
)
async def test_what_a_load_balancer_is_told(endpoints: int, healthy: bool, status: int) -> None:
    scene, port = Scene(), free_port()
    scene.healthy = healthy
    async with scene.running(), aiohttp.ClientSession() as session:
        scene.put(A, port, endpoints=endpoints)
        await until(lambda: is_open(port))
        async with session.get(f"http://127.0.0.1:{port}/any/path") as answer:
            assert answer.status == status
            assert answer.headers["X-Load-Balancing-Endpoint-Weight"] == str(endpoints)
            assert await answer.json() == {
                "service": {"namespace": "ns", "name": "a"},
                "localEndpoints": endpoints,
                "serviceProxyHealthy": healthy,
            }


async def test_a_port_is_open_at_the_chosen_addresses_alone() -> None:
    scene, port = Scene(), free_port()
    scene.hosts = ["127.0.0.3", "127.0.0.4"]
    async with scene.running():
        scene.put(A, port)
        await until(lambda: is_open(port, at="127.0.0.3"))
        assert is_open(port, at="127.0.0.4")
        assert not is_open(port, at="127.0.0.2")
        scene.hosts = ["127.0.0.2"]
        scene.checks.look_again()
        await until(lambda: is_open(port, at="127.0.0.2"))
        assert not is_open(port, at="127.0.0.3")
