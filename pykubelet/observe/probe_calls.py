"""Asks a container once how it is: by a command, HTTP, TCP or gRPC. Whether that counts is decided elsewhere.

Source: pkg/kubelet/prober/prober.go and pkg/probe/*; their messages are part of what people look for in events.
"""

import asyncio
import dataclasses
import os
import ssl
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from pykubelet.cri import errors, health, runtime_api
from pykubelet.decide import expansion
from pykubelet.model.container import Container, HTTPGetAction, Probe
from pykubelet.model.ids import ContainerId

USER_AGENT: Final = "kube-probe/1.37"
LONGEST_BODY: Final = 10 * 1024
MOST_REDIRECTS: Final = 10
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
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=trusting, force_close=True, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, probe: Probe, target: Target) -> Answer:
        """Run the probe once within its timeout. Raises Unaskable."""
        timeout = float(max(probe.timeout_seconds, 1))
        if probe.exec:
            values = {e.name: e.value for e in target.container.env if e.value_from is None}
            command = tuple(expansion.expand(word, values) for word in probe.exec.command)
            return await self._exec(command, target, timeout)
        if probe.http_get:
            return await self._http(probe.http_get, target, timeout)
        if probe.tcp_socket:
            port = port_number(probe.tcp_socket.port, target.container)
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
        assert self._session is not None
        url = url_of(action, target)
        headers = CIMultiDict((header.name, header.value) for header in action.http_headers)
        headers.setdefault("User-Agent", USER_AGENT)
        if not headers.setdefault("Accept", "*/*"):
            del headers["Accept"]
        try:
            async with asyncio.timeout(timeout):
                return await self._get(url, headers)
        except TimeoutError:
            return Answer(False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded)')
        except aiohttp.ClientConnectorError as error:
            where = urlsplit(url).netloc
            return Answer(False, f'Get "{url}": dial tcp {where}: connect: {_words(error.os_error)}')
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(False, f'Get "{url}": {error}')

    async def _get(self, url: str, headers: CIMultiDict[str]) -> Answer:
        assert self._session is not None
        host = urlsplit(url).hostname
        for _ in range(MOST_REDIRECTS):
            async with self._session.get(URL(url, encoded=True), headers=headers, allow_redirects=False) as answer:
                body = await answer.content.read(LONGEST_BODY)
                location = answer.headers.get("Location")
                if location and answer.status in (301, 302, 303, 307, 308):
                    following = urljoin(url, location)
                    if urlsplit(following).hostname == host:
                        url = following
                        continue
                if 300 <= answer.status < 400:
                    text = body.decode(errors="replace")
                    return Answer(True, f"Probe terminated redirects, Response body: {text}", warning=True)
                if 200 <= answer.status < 300:
                    return Answer(True)
                return Answer(False, f"HTTP probe failed with statuscode: {answer.status}")
        return Answer(False, f'Get "{url}": stopped after {MOST_REDIRECTS} redirects')


def url_of(action: HTTPGetAction, target: Target) -> str:
    """Where an HTTP action leads. Raises Unaskable for a port name the container does not have."""
    host = action.host or target.address
    port = port_number(action.port, target.container)
    parts = urlsplit(action.path or "/")
    bracketed = f"[{host}]" if ":" in host else host
    path = parts.path if parts.path.startswith("/") else f"/{parts.path}"
    return urlunsplit((action.scheme.lower() or "http", f"{bracketed}:{port}", path, parts.query, ""))


def port_number(port: int | str, container: Container) -> int:
    """The number of a port given by number or by the container's name for it."""
    if isinstance(port, int):
        return port
    for named in container.ports:
        if named.name == port:
            return named.container_port
    if port.isdigit():
        return int(port)
    raise Unaskable(f"couldn't find port: {port} in container {container.name}")


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
