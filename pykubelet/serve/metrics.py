"""/metrics and its kin, in the Prometheus text format."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from aiohttp import web

from nodekit import metrics
from pykubelet.cri import errors as cri_errors

Source: TypeAlias = Callable[[], Awaitable[bytes]]
"""Writes samples in Prometheus text when asked; may raise CriError or OSError, which is a 500 of that path alone."""
OWN: Final = "/metrics"
_END: Final = b"# EOF\n"
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The endpoints: `/metrics` is this process's own, every other path a source asked at each request.

    A source at `/metrics` adds its samples, which are gauges, to the process's own.
    """

    def __init__(self, process: metrics.Metrics, *, sources: Mapping[str, Source] | None = None) -> None:
        self._process = process
        self._sources = dict(sources or {})

    def routes(self) -> list[web.RouteDef]:
        """By any method, as in the genuine one."""
        own = web.route("*", OWN, self.own)
        return [own, *(web.route("*", path, self.other) for path in self._sources if path != OWN)]

    async def own(self, request: web.Request) -> web.Response:
        body, kind = self._process.exposition(request.headers.get("Accept", ""))
        if (more := self._sources.get(OWN)) is not None:
            # OpenMetrics has a last line of its own.
            body = body.removesuffix(_END) + await more() + (_END if body.endswith(_END) else b"")
        return web.Response(body=body, headers={"Content-Type": kind})

    async def other(self, request: web.Request) -> web.Response:
        try:
            body = await self._sources[request.path]()
        except (cri_errors.CriError, OSError) as error:
            return web.Response(status=500, text=str(error))
        return web.Response(body=body, headers={"Content-Type": TEXT})
