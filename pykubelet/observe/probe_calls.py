"""Asks a container once how it is: by a command, HTTP, TCP or gRPC. Whether that counts is decided elsewhere.

Source: pkg/kubelet/prober/prober.go and pkg/probe/*; their messages are part of what people look for in events.
"""

import asyncio
import dataclasses
import os
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from nodekit import http_get
from pykubelet.cri import errors, health, runtime_api
from pykubelet.decide import expansion, http_action
from pykubelet.model.container import Container, HTTPGetAction, Probe
from pykubelet.model.ids import ContainerId

USER_AGENT: Final = "kube-probe/1.37"
LONGEST_BODY: Final = 10 * 1024
_OUTPUT: Final = 10 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """`message` says why it is not `ok`; `warning` that it is only just."""

    ok: bool
    message: str = ""
    warning: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """The container asked: `address` is the Pod's (the node's on the host network)."""

    id: ContainerId
    container: Container
    address: str


class Unaskable(Exception):
    """The probe cannot even be made: a port name the container does not have, a runtime that is away."""


class Caller:
    """Makes probe calls. `async with Caller(runtime) as caller`."""

    def __init__(self, runtime: runtime_api.CommandCalls) -> None:
        self._runtime = runtime
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Caller":
        self._session = http_get.session()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, probe: Probe, target: Target) -> Answer:
        """Run the probe once within its timeout. Raises Unaskable."""
        timeout = float(max(probe.timeout_seconds, 1))
        try:
            return await self._ask(probe, target, timeout)
        except http_action.NoSuchPortError as error:
            raise Unaskable(str(error)) from error

    async def _ask(self, probe: Probe, target: Target, timeout: float) -> Answer:
        if probe.exec:
            values = {e.name: e.value for e in target.container.env if e.value_from is None}
            command = tuple(expansion.expand(word, values) for word in probe.exec.command)
            return await self._exec(command, target, timeout)
        if probe.http_get:
            return await self._http(probe.http_get, target, timeout)
        if probe.tcp_socket:
            port = http_action.port_number(probe.tcp_socket.port, target.container)
            return await _tcp(probe.tcp_socket.host or target.address, port, timeout)
        if probe.grpc:
            return await _grpc(target.address, probe.grpc.port, probe.grpc.service or "", timeout)
        raise Unaskable("the probe has no handler")

    async def _exec(self, command: tuple[str, ...], target: Target, timeout: float) -> Answer:
        try:
            result = await self._runtime.exec_sync(target.id, command, timeout=timeout)
        except errors.DeadlineExceeded:
            return Answer(False, f"command timed out: {' '.join(command)!r} timed out after {timeout:g}s")
        except errors.CriError as error:
            raise Unaskable(error.detail or str(error)) from error
        output = (result.stdout + result.stderr)[:_OUTPUT].decode(errors="replace")
        return Answer(result.exit_code == 0, output)

    async def _http(self, action: HTTPGetAction, target: Target, timeout: float) -> Answer:
        url = http_action.url_of(action, target.container, target.address)
        headers = http_action.headers_of(action, user_agent=USER_AGENT)
        try:
            async with asyncio.timeout(timeout):
                return await self._get(url, headers)
        except TimeoutError:
            return Answer(False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded)')
        except aiohttp.ClientConnectorError as error:
            where = urlsplit(url).netloc
            return Answer(False, f'Get "{url}": dial tcp {where}: connect: {_words(error.os_error)}')
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(False, f'Get "{url}": {http_get.words(error)}')

    async def _get(self, url: str, headers: http_action.Headers) -> Answer:
        assert self._session is not None
        async with http_get.get(self._session, url, headers) as answer:
            body = await answer.content.read(LONGEST_BODY)
            if 300 <= answer.status < 400:
                text = body.decode(errors="replace")
                return Answer(True, f"Probe terminated redirects, Response body: {text}", warning=True)
            if 200 <= answer.status < 300:
                return Answer(True)
            return Answer(False, f"HTTP probe failed with statuscode: {answer.status}")


def _words(error: OSError) -> str:
    """As the kernel says it: asyncio puts words of its own around."""
    return os.strerror(error.errno).lower() if error.errno else str(error)


async def _tcp(host: str, port: int, timeout: float) -> Answer:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Answer(False, f"dial tcp {where}: i/o timeout")
    except OSError as error:
        return Answer(False, f"dial tcp {where}: connect: {_words(error)}")
    writer.close()
    return Answer(True)


async def _grpc(host: str, port: int, service: str, timeout: float) -> Answer:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        serving = await health.check(where, service, timeout=timeout)
    except health.NotServed as error:
        return Answer(False, str(error))
    if serving == health.SERVING:
        return Answer(True)
    return Answer(False, f"service unhealthy (responded with {serving!r})")
