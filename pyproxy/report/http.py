"""The health and metrics servers."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from prometheus_client import exposition

from nodekit.objects import codec
from pyproxy.report.health import Health
from pyproxy.report.metrics import Metrics

log = logging.getLogger(__name__)


def health_app(health: Health, metrics: Metrics, *, eligible: Callable[[], bool]) -> web.Application:
    """:10256 /healthz, which load balancers ask, and /livez, which does not depend on the node."""

    async def healthz(request: web.Request) -> web.Response:
        answer = health.answer(eligible())
        code = 200 if answer.healthy else 503
        metrics.healthz.labels(str(code)).inc()
        return _json(answer, code)

    async def livez(request: web.Request) -> web.Response:
        answer = health.answer()
        code = 200 if answer.healthy else 503
        metrics.livez.labels(str(code)).inc()
        return _json(answer, code)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/livez", livez)
    return app


def metrics_app(
    metrics: Metrics,
    *,
    mode: str,
    config: Callable[[], object],
    prepare: Callable[[], Awaitable[None]] | None = None,
) -> web.Application:
    """:10249 /metrics, /healthz, /proxyMode, /configz. `prepare` brings metrics up to date that cost something."""

    async def scrape(request: web.Request) -> web.Response:
        if prepare is not None:
            await prepare()
        body = exposition.generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": exposition.CONTENT_TYPE_PLAIN_0_0_4})

    async def healthz(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def proxy_mode(request: web.Request) -> web.Response:
        return web.Response(text=mode, headers={"X-Content-Type-Options": "nosniff"})

    async def configz(request: web.Request) -> web.Response:
        return _json({"kubeproxy.config.k8s.io": config()}, 200)

    app = web.Application()
    app.router.add_get("/metrics", scrape)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/proxyMode", proxy_mode)
    app.router.add_get("/configz", configz)
    return app


@contextlib.asynccontextmanager
async def serving(app: web.Application, bind: str, *, name: str) -> AsyncIterator[None]:
    """Serve on `host:port` while the block runs; a port in use is tried again until it is free."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    task = asyncio.create_task(_listen(runner, bind, name), name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await runner.cleanup()


async def _listen(runner: web.AppRunner, bind: str, name: str) -> None:
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    # To everyone else, and to Go, the unspecified IPv6 address means both families; asyncio takes it at its word.
    address = None if host in ("", "::") else host
    while True:
        try:
            await web.TCPSite(runner, address, int(port)).start()
        except OSError as error:
            log.error("%s can't listen on %s: %s; tried again in 5s", name, bind, error.strerror)
            await asyncio.sleep(5)
        else:
            return


def _json(value: object, code: int) -> web.Response:
    return web.Response(body=codec.encode(value), status=code, headers={"Content-Type": "application/json"})
