"""GET /stats/summary: what the node and its Pods use, as metrics-server and people ask for it."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web

from nodekit.objects import codec
from pykubelet.cri import errors as cri_errors
from pykubelet.model.summary import ContainerStats, PodStats, Summary

PATH: Final = "/stats/summary"


class StatsSummary:
    """The endpoint; `only_cpu_and_memory=true` leaves the rest out."""

    def __init__(self, summary: Callable[[], Awaitable[Summary]]) -> None:
        self._summary = summary

    def routes(self) -> list[web.RouteDef]:
        """Where it is found."""
        return [web.route(method, path, self.get) for method in ("GET", "POST") for path in (PATH, f"{PATH}/")]

    async def get(self, request: web.Request) -> web.Response:
        """All of it in JSON, or a 500 that says what could not be measured."""
        try:
            found = await self._summary()
        except (cri_errors.CriError, OSError) as error:
            return web.Response(status=500, text=f"Internal Error: {error}")
        if request.query.get("only_cpu_and_memory") == "true":
            found = _small(found)
        return web.Response(body=codec.encode(found), content_type="application/json")


def _small(found: Summary) -> Summary:
    node = msgspec.structs.replace(found.node, network=None, fs=None, runtime=None, rlimit=None)
    return Summary(node=node, pods=tuple(_small_pod(pod) for pod in found.pods))


def _small_pod(pod: PodStats) -> PodStats:
    containers = tuple(
        ContainerStats(name=one.name, start_time=one.start_time, cpu=one.cpu, memory=one.memory, swap=one.swap)
        for one in pod.containers
    )
    return PodStats(
        pod_ref=pod.pod_ref,
        start_time=pod.start_time,
        containers=containers,
        cpu=pod.cpu,
        memory=pod.memory,
        swap=pod.swap,
    )
