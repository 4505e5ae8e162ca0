"""Runs what a container asks to be run after its start and before its stop: a command, a request, a pause.

Source: pkg/kubelet/lifecycle/handlers.go.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp
import yarl

from nodekit import http_get
from pykubelet import meters
from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.decide import http_action
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
    """`run` returns when the hook has succeeded. It has no time limit of its own: the caller's cancellation ends it.

    `warn(reason, message)` is called for what its Pod's owner should know although it succeeded.
    """

    def __init__(self, runtime: runtime_api.CommandCalls, *, warn: Callable[[str, str], None]) -> None:
        self._runtime = runtime
        self._warn = warn

    async def run(self, handler: Handler, target: Target) -> None:
        """Raises HookFailed."""
        if handler.exec:
            await self._exec(handler.exec.command, target)
        elif handler.http_get:
            await self._request(handler.http_get, target)
        elif handler.sleep:
            await _pause(handler.sleep.seconds)
        else:
            # tcpSocket is in the API for old objects' sake; the genuine kubelet cannot run it either.
            raise HookFailed("Cannot run handler: it has none of exec, httpGet and sleep")

    async def _exec(self, command: Sequence[str], target: Target) -> None:
        try:
            result = await self._runtime.exec_sync(target.id, command)
        except cri_errors.CriError as error:
            raise HookFailed(f"Exec lifecycle hook ({list(command)}) failed: {error.detail or error}") from error
        if result.exit_code:
            output = (result.stdout + result.stderr)[:_OUTPUT].decode(errors="replace")
            what = f"Exec lifecycle hook ({list(command)}) for Container {target.container.name!r} failed"
            raise HookFailed(f"{what}: exited with {result.exit_code}: {output}")

    async def _request(self, action: HTTPGetAction, target: Target) -> None:
        headers = http_action.headers_of(action, user_agent=USER_AGENT)
        try:
            url = http_action.url_of(action, target.container, target.address)
            async with http_get.session() as http:
                try:
                    await _tell(http, url, headers)
                except aiohttp.ClientConnectorSSLError:
                    public = [(name, value) for name, value in headers if name.lower() != "authorization"]
                    await _tell(http, url.replace("https:", "http:", 1), public)
                    meters.hook_fallbacks.inc()
                    what = f"request to HTTPS lifecycle hook {yarl.URL(url).authority} got HTTP response"
                    self._warn("LifecycleHTTPFallback", f"{what}, retry with HTTP succeeded")
        except (http_action.NoSuchPortError, aiohttp.ClientError, OSError, ValueError) as error:
            raise HookFailed(f"HTTP lifecycle hook ({action.path}) failed: {http_get.words(error)}") from error


async def _pause(seconds: float) -> None:
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        meters.hook_sleeps_cut_short.inc()
        raise


async def _tell(http: aiohttp.ClientSession, url: str, headers: http_action.Headers) -> None:
    # Any answer counts as success: the hook is a message, not a question.
    async with http_get.get(http, url, headers):
        return
