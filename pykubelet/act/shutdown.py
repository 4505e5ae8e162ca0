"""Ends the Pods in order when the machine shuts down, and holds the shutdown up until they have. Source: KEP-2712."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Protocol

from nodekit.aio.clock import Clock
from pykubelet import meters
from pykubelet.act.eviction import Pods, Tell
from pykubelet.decide import shutdown
from pykubelet.decide.admission import Rejected
from pykubelet.decide.shutdown import Group, Step

REJECTED: Final = Rejected("NodeShutdown", "Pod was rejected as the node is shutting down.")
PROBLEM: Final = "node is shutting down"
_LOOK: Final = 0.2
_TOLD_WITHIN: Final = 2.0
"""Seconds that the API server has to hear how the Pods ended before the machine goes down."""

log = logging.getLogger(__name__)


class Machine(Protocol):
    """Who knows of shutdowns and can hold them up (observe.logind)."""

    async def allow(self, seconds: float) -> None: ...

    async def hold(self) -> None: ...

    def release(self) -> None: ...

    def shutdowns(self) -> AsyncIterator[bool]: ...


class Shutdown:
    """`changed` is called when a shutdown begins or is called off; `told` waits until the API knows all there is."""

    def __init__(
        self,
        steps: tuple[Step, ...],
        pods: Pods,
        *,
        told: Callable[[], Awaitable[None]],
        tell: Tell,
        clock: Clock,
    ) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.going_down = False
        self._steps = steps
        self._pods = pods
        self._told = told
        self._tell = tell
        self._clock = clock

    def problem(self) -> str:
        """Why the node is not ready; empty if no shutdown is under way."""
        return PROBLEM if self.going_down else ""

    def refuses(self) -> Rejected | None:
        """Why no new Pod may come; None if one may."""
        return REJECTED if self.going_down else None

    async def run(self, machine: Machine) -> None:
        """Watch until the machine can no longer be heard. Raises what `machine` raises."""
        await machine.allow(sum(step.grace for step in self._steps))
        await machine.hold()
        ending: asyncio.Task[None] | None = None
        try:
            async for begins in machine.shutdowns():
                if begins == self.going_down:
                    continue
                self.going_down = begins
                self.changed()
                what = "event" if begins else "cancellation"
                self._tell.of_node("Normal", "NodeShutdown", f"Shutdown manager detected shutdown {what}")
                if begins:
                    ending = asyncio.create_task(self._end_all(machine), name="shutdown")
                else:
                    await _stop(ending)
                    await machine.hold()
        finally:
            await _stop(ending)

    async def _end_all(self, machine: Machine) -> None:
        meters.shutdown_began.set(self._clock.now().timestamp())
        meters.shutdown_ended.set(0)
        try:
            # Those that are ending already are waited for too: they may have to write what they know.
            for group in shutdown.groups(self._pods.active(), self._steps):
                await self._end(group)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TOLD_WITHIN):
                    await self._told()
        finally:
            meters.shutdown_ended.set(self._clock.now().timestamp())
            log.info("the shutdown may go on")
            machine.release()

    async def _end(self, group: Group) -> None:
        now = self._clock.now().timestamp()
        deadline = self._clock.monotonic() + group.grace
        log.info("the machine shuts down: %d Pods end within %ds", len(group.pods), group.grace)
        for pod in group.pods:
            self._pods.end(pod.uid, shutdown.ending(pod, group, now=now))
        while self._clock.monotonic() < deadline and not all(self._pods.is_over(pod.uid) for pod in group.pods):
            await self._clock.sleep(_LOOK)


async def _stop(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        if result is not None and not isinstance(result, asyncio.CancelledError):
            log.error("the Pods were not ended in order: %s", result, exc_info=result)
