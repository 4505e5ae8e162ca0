"""/metrics and its kin: registries in the Prometheus text format."""

from collections.abc import Awaitable, Callable, Mapping

import prometheus_client
from aiohttp import web
from prometheus_client.registry import Collector

from pykubelet.cri import errors as cri_errors

Source = Callable[[], Awaitable[Collector | None]]


class Metrics:
    """The endpoints: `/metrics` is this process's own registry, every other path a collector made at each request.

    A source that answers None has nothing to show. One that fails is a 500 of its own.
    """

    def __init__(self, sources: Mapping[str, Source] | None = None) -> None:
        self._sources = dict(sources or {})

    def routes(self) -> list[web.RouteDef]:
        own = web.get("/metrics", self.own, allow_head=False)
        return [own, *(web.get(path, self.other, allow_head=False) for path in self._sources)]

    async def own(self, _: web.Request) -> web.Response:
        return exposition(prometheus_client.REGISTRY)

    async def other(self, request: web.Request) -> web.Response:
        registry = prometheus_client.CollectorRegistry(auto_describe=False)
        try:
            collector = await self._sources[request.path]()
        except cri_errors.CriError as error:
            return web.Response(status=500, text=str(error))
        if collector is not None:
            registry.register(collector)
        return exposition(registry)


def exposition(registry: prometheus_client.CollectorRegistry) -> web.Response:
    body = prometheus_client.generate_latest(registry)
    return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})
