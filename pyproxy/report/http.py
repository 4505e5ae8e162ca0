"""The health and metrics servers."""

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import exposition

from nodekit.objects import codec
from nodekit.serve import healthz, zpages
from pyproxy import KUBERNETES_VERSION, errors
from pyproxy.report.health import Health
from pyproxy.report.metrics import Metrics

log = logging.getLogger(__name__)

_LISTED: Final = ("/configz", "/flagz", "/healthz", "/metrics", "/proxyMode", "/statusz")
_JSON_HEADERS: Final = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"}
_AGAIN_AFTER: Final = 5.0


def health_app(health: Health, metrics: Metrics, *, eligible: Callable[[], bool]) -> web.Application:
    """:10256 /healthz, which load balancers ask, and /livez, which does not depend on the node."""

    async def of_node(request: web.Request) -> web.Response:
        answer = health.answer(eligible())
        code = 200 if answer.good else 503
        metrics.healthz.labels(str(code)).inc()
        return _json(answer, code)

    async def livez(request: web.Request) -> web.Response:
        answer = health.answer()
        code = 200 if answer.good else 503
        metrics.livez.labels(str(code)).inc()
        return _json(answer, code)

    app = web.Application()
    app.router.add_get("/healthz", of_node)
    app.router.add_get("/livez", livez)
    return app


@dataclass(frozen=True, slots=True)
class Shown:
    """What the agent shows of how it was started."""

    mode: str
    config: Callable[[], object]
    flags: Mapping[str, str]


def metrics_app(
    metrics: Metrics, shown: Shown, *, prepare: Callable[[], Awaitable[None]] | None = None
) -> web.Application:
    """:10249 /metrics, /healthz, /proxyMode, /configz, /flagz, /statusz.

    `prepare` brings metrics up to date that cost something.
    """
    health = healthz.Health({}, always=("ping",))

    async def scrape(request: web.Request) -> web.Response:
        if prepare is not None:
            await prepare()
        body = exposition.generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": exposition.CONTENT_TYPE_PLAIN_0_0_4})

    async def slis(request: web.Request) -> web.Response:
        return web.Response(body=await health.slis(), headers={"Content-Type": exposition.CONTENT_TYPE_PLAIN_0_0_4})

    async def proxy_mode(request: web.Request) -> web.Response:
        return web.Response(text=shown.mode, headers={"X-Content-Type-Options": "nosniff"})

    async def configz(request: web.Request) -> web.Response:
        return _json({"kubeproxy.config.k8s.io": shown.config()}, 200)

    app = web.Application()
    app.router.add_get("/metrics", scrape)
    app.router.add_get(healthz.SLIS, slis)
    app.router.add_get("/proxyMode", proxy_mode)
    app.router.add_get("/configz", configz)
    started = dt.datetime.now(dt.UTC)
    statusz = zpages.Statusz("kube-proxy", version=KUBERNETES_VERSION, started=started, paths=_LISTED)
    for endpoint in (health, statusz, zpages.Flagz("kube-proxy", shown.flags)):
        app.router.add_routes(endpoint.routes())
    return app


@contextlib.asynccontextmanager
async def serving(app: web.Application, bind: str, *, name: str, hard: bool = False) -> AsyncIterator[None]:
    """Serve on `host:port` while the block runs; a port in use is tried again until it is free.

    With `hard` it raises ListenError instead.
    """
    async with contextlib.AsyncExitStack() as stack:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        if hard:
            try:
                await _site(runner, bind).start()
            except OSError as error:
                raise errors.ListenError(f"{name} can't listen on {bind}: {error.strerror}") from error
        else:
            task = asyncio.create_task(_listen(runner, bind, name), name=name)
            stack.push_async_callback(_end, task)
        yield


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _listen(runner: web.AppRunner, bind: str, name: str) -> None:
    while True:
        try:
            await _site(runner, bind).start()
        except OSError as error:
            log.error("%s can't listen on %s: %s; tried again in %gs", name, bind, error.strerror, _AGAIN_AFTER)
            await asyncio.sleep(_AGAIN_AFTER)
        else:
            return


def _site(runner: web.AppRunner, bind: str) -> web.TCPSite:
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    # To everyone else, and to Go, the unspecified IPv6 address means both families; asyncio takes it at its word.
    return web.TCPSite(runner, None if host in ("", "::") else host, int(port))


def _json(value: object, code: int) -> web.Response:
    return web.Response(body=codec.encode(value), status=code, headers=_JSON_HEADERS)
