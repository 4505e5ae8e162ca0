"""Asks the container runtime how it is, every few seconds: that decides whether the node is ready.

Source: updateRuntimeUp in K/pkg/kubelet/kubelet.go and runtimeState in K/pkg/kubelet/runtime.go.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from nodekit.aio.clock import Clock
from pykubelet.cri import errors as cri_errors
from pykubelet.model import observed

_PERIOD: Final = 5.0
_SOON: Final = 0.2
"""Seconds between questions while the answer is not yes: a node is to be ready as soon as its runtime is."""
_SOON_FOR: Final = 30.0
_DOWN_AFTER: Final = 30.0

log = logging.getLogger(__name__)


class Runtime(Protocol):
    """The two calls of CRI's RuntimeService that are made here."""

    async def status(self) -> observed.RuntimeStatus: ...

    async def version(self) -> observed.RuntimeVersion: ...


class RuntimeHealth:
    """Run it as a task. `status` and `version` are the last answers, None until there was one."""

    def __init__(self, runtime: Runtime, *, clock: Clock) -> None:
        self.status: observed.RuntimeStatus | None = None
        self.version: observed.RuntimeVersion | None = None
        self._runtime = runtime
        self._clock = clock
        self._answered_at = 0.0
        self._asked = asyncio.Event()
        self._callbacks: list[Callable[[], None]] = []

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Be told whenever the answer differs from the last one."""
        self._callbacks.append(callback)

    def problems(self) -> tuple[str, ...]:
        """Why the runtime can run no Pods, in the genuine kubelet's words; empty if it can."""
        if self.status is None:
            return ("container runtime status check may not have completed yet", "network state unknown")
        found = []
        if self._clock.monotonic() - self._answered_at > _DOWN_AFTER:
            found.append("container runtime is down")
        found += [problem for name in ("RuntimeReady", "NetworkReady") if (problem := self._problem(name))]
        return tuple(found)

    async def wait_asked(self) -> None:
        """Wait until the first question was answered or failed: before that nobody can say how the runtime is."""
        await self._asked.wait()

    async def run(self) -> None:
        """Ask until cancelled."""
        began = self._clock.monotonic()
        told: object = None
        while True:
            await self._ask()
            found = (self.status, self.version, self.problems())
            if found != told:
                told = found
                for callback in self._callbacks:
                    callback()
            hurry = self.problems() and self._clock.monotonic() - began < _SOON_FOR
            await self._clock.sleep(_SOON if hurry else _PERIOD)

    async def _ask(self) -> None:
        try:
            self.status = await self._runtime.status()
            self.version = await self._runtime.version()
            self._answered_at = self._clock.monotonic()
        except cri_errors.CriError as error:
            log.warning("the container runtime does not say how it is: %s", error)
        finally:
            self._asked.set()

    def _problem(self, name: str) -> str:
        assert self.status is not None
        what = "container runtime network" if name == "NetworkReady" else "container runtime"
        found = next((condition for condition in self.status.conditions if condition.type == name), None)
        if found is None:
            return f"{what} not ready: condition {name} is missing"
        if found.status:
            return ""
        return f"{what} not ready: {name}=false reason:{found.reason} message:{found.message}"
