"""Tells the container runtime which addresses this node's Pods have: some write their network configuration from it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import Clock
from nodekit.objects.node import Node
from pykubelet.cri import errors as cri_errors

_BACKOFF: Final = Backoff(base=1.0, cap=60.0)

log = logging.getLogger(__name__)


class Runtime(Protocol):
    """The one call of CRI's RuntimeService that is made here."""

    async def set_pod_cidr(self, cidr: str) -> None: ...


class PodCidr:
    """Run it as a task. `node()` is the Node as the API has it; `changed` is to be called when that changes."""

    def __init__(self, runtime: Runtime, *, node: Callable[[], Node | None], clock: Clock) -> None:
        self._runtime = runtime
        self._node = node
        self._clock = clock
        self._woken = asyncio.Event()

    def changed(self) -> None:
        """The Node may have other addresses for Pods."""
        self._woken.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        told = ""
        failures = 0
        while True:
            await self._woken.wait()
            self._woken.clear()
            node = self._node()
            wanted = ",".join(node.spec.pod_cidrs) if node is not None else ""
            if not wanted or wanted == told:
                continue
            try:
                await self._runtime.set_pod_cidr(wanted)
                log.info("Pods of this node have addresses of %s", wanted)
                told, failures = wanted, 0
            except cri_errors.CriError as error:
                failures += 1
                log.warning("the runtime was not told the addresses of Pods: %s", error)
                self._woken.set()
                await self._clock.sleep(_BACKOFF.delay(failures))
