"""healthCheckNodePort: tells load balancers whether this node has endpoints of a Service of its own."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from nodekit.objects import codec
from nodekit.objects.meta import Key

log = logging.getLogger(__name__)

_RETRY_AFTER: Final = 5.0
_EVERYWHERE: Final = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Check:
    """One Service's health check: the port it is asked on, and how many addresses of this node are ready."""

    service: Key
    port: int
    endpoints: int


@dataclass(frozen=True, slots=True)
class _Open:
    port: int
    hosts: frozenset[str]
    runner: web.AppRunner


class ServiceHealth:
    """One small server a port. `healthy` tells whether the proxy itself is in sync, `hosts` where to listen.

    A port that can't be had is tried every few seconds; `refused` is told once why not, for each Service and port.
    """

    def __init__(
        self,
        healthy: Callable[[], bool],
        *,
        refused: Callable[[Key, str], None],
        hosts: Callable[[], Iterable[str]] = lambda: _EVERYWHERE,
    ) -> None:
        self._healthy = healthy
        self._hosts = hosts
        self._refused = refused
        self._checks: dict[Key, Check] = {}
        self._runners: dict[Key, _Open] = {}
        self._told: dict[Key, int] = {}  # the ports that were refused, each told once
        self._changed = asyncio.Event()

    def put(self, service: Key, check: Check | None) -> None:
        """A Service's check as it is now; None when it has none."""
        before = self._checks.get(service)
        if check is None:
            self._checks.pop(service, None)
        else:
            self._checks[service] = check
        if (None if before is None else before.port) != (None if check is None else check.port):
            self._changed.set()

    def look_again(self) -> None:
        """The machine's addresses, or what is known of its Node, may have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Open and close ports until cancelled; ports are closed when it ends, and opened when it is run again."""
        try:
            while True:
                self._changed.clear()
                await self._reconcile()
                await self._wait()
        finally:
            runners, self._runners = self._runners, {}
            for one in runners.values():
                await one.runner.cleanup()

    async def _wait(self) -> None:
        """Until a check has changed, or it is time to try again what was refused."""
        lacking = self._checks.keys() - self._runners.keys()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_AFTER if lacking else None):
                await self._changed.wait()

    async def _reconcile(self) -> None:
        self._told = {
            service: port
            for service, port in self._told.items()
            if (check := self._checks.get(service)) is not None and check.port == port
        }
        hosts = frozenset(self._hosts())
        for service, one in list(self._runners.items()):
            check = self._checks.get(service)
            if check is None or check.port != one.port or hosts != one.hosts:
                await one.runner.cleanup()
                del self._runners[service]
        for service, check in list(self._checks.items()):
            if service not in self._runners:
                await self._open(check, hosts)

    async def _open(self, check: Check, hosts: frozenset[str]) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer(check.service))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            for host in sorted(hosts):
                await web.TCPSite(runner, host, check.port).start()
        except OSError as error:
            await runner.cleanup()
            if check.service in self._told:
                return
            self._told[check.service] = check.port
            text = f"node {check.service} failed to start healthcheck on port {check.port}: {error.strerror}"
            log.error("%s", text)
            self._refused(check.service, text)
            return
        self._runners[check.service] = _Open(check.port, hosts, runner)
        if self._told.pop(check.service, None) is not None:
            log.info("the healthcheck of %s answers on port %d now", check.service, check.port)

    def _answer(self, service: Key) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.Response:
            check = self._checks.get(service)
            count = 0 if check is None else check.endpoints
            healthy = self._healthy()
            body = {
                "service": {"namespace": service.namespace, "name": service.name},
                "localEndpoints": count,
                "serviceProxyHealthy": healthy,
            }
            headers = {
                "Content-Type": "application/json",
                "X-Content-Type-Options": "nosniff",
                "X-Load-Balancing-Endpoint-Weight": str(count),
            }
            return web.Response(body=codec.encode(body), status=200 if count and healthy else 503, headers=headers)

        return answer
