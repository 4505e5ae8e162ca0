"""Runs what a container asks to be run after its start and before its stop: a command, a request, a pause.

Source: pkg/kubelet/lifecycle/handlers.go.
"""

import asyncio
import dataclasses
import ssl
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from pykubelet import meters
from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.model.container import Container, Handler, HTTPGetAction
from pykubelet.model.ids import ContainerId

USER_AGENT: Final = "kube-lifecycle/1.37"
_OUTPUT: Final = 10 * 1024


class HookFailed(Exception):
    """The hook did not do what it should; says how."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """The container a hook is about: `address` is its Pod's (the node's on the host network)."""

    id: ContainerId
    container: Container
    address: str


class Hooks:
    """`run` returns when the hook has succeeded. It has no time limit of its own: the caller's cancellation ends it."""

    def __init__(self, runtime: runtime_api.CommandCalls) -> None:
        self._runtime = runtime

    async def run(self, handler: Handler, target: Target) -> None:
        """Raises HookFailed."""
        if handler.exec:
            await self._exec(handler.exec.command, target)
        elif handler.http_get:
            await _request(handler.http_get, target)
        elif handler.sleep:
            await _pause(handler.sleep.seconds)
        else:
            # tcpSocket is in the API for old objects' sake; the genuine kubelet cannot run it either.
            raise HookFailed("Cannot run handler: it has none of exec, httpGet and sleep")

    async def _exec(self, command: Sequence[str], target: Target) -> None:
        try:
            result = await self._runtime.exec_sync(target.id, command)
        except cri_errors.CriError as error:
            raise HookFailed(f"Exec lifecycle hook ({list(command)}) failed: {error.detail}") from error
        if result.exit_code:
            output = (result.stdout + result.stderr)[:_OUTPUT].decode(errors="replace")
            what = f"Exec lifecycle hook ({list(command)}) for Container {target.container.name!r} failed"
            raise HookFailed(f"{what}: exited with {result.exit_code}: {output}")


async def _pause(seconds: float) -> None:
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        meters.hook_sleeps_cut_short.inc()
        raise


async def _request(action: HTTPGetAction, target: Target) -> None:
    url = _url(action, target)
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*"} | {h.name: h.value for h in action.http_headers}
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting, force_close=True)) as session:
        try:
            # Any answer counts as success: the hook is a message, not a question.
            async with session.get(url, headers=headers):
                return
        except aiohttp.ClientConnectorSSLError:
            plain, headers = url.replace("https:", "http:", 1), dict(headers)
            headers.pop("Authorization", None)
        except (aiohttp.ClientError, OSError) as error:
            raise HookFailed(f"HTTP lifecycle hook ({action.path}) failed: {error}") from error
        try:
            async with session.get(plain, headers=headers):
                meters.hook_fallbacks.inc()
        except (aiohttp.ClientError, OSError) as error:
            raise HookFailed(f"HTTP lifecycle hook ({action.path}) failed: {error}") from error


def _url(action: HTTPGetAction, target: Target) -> str:
    host = action.host or target.address
    port = action.port
    if isinstance(port, str):
        named = (p.container_port for p in target.container.ports if p.name == action.port)
        number = next(named, None)
        if number is None and not port.isdigit():
            raise HookFailed(f"couldn't find port: {port} in container {target.container.name}")
        port = int(port) if number is None else number
    parts = urlsplit(action.path or "/")
    path = parts.path if parts.path.startswith("/") else f"/{parts.path}"
    bracketed = f"[{host}]" if ":" in host else host
    return urlunsplit((action.scheme.lower() or "http", f"{bracketed}:{port}", path, parts.query, ""))
