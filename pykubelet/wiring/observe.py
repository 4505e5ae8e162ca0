"""Puts together what tells what is really there: the runtime's sandboxes and containers, probes, the machine."""

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Self

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import SystemClock
from nodekit.aio.tasks import Tasks
from pykubelet.cri import runtime_api
from pykubelet.model.ids import Uid
from pykubelet.model.observed import RuntimeHandler
from pykubelet.observe import cri_events, machine
from pykubelet.observe.probe_calls import Caller
from pykubelet.observe.probes import Probes
from pykubelet.observe.relist import Relist
from pykubelet.observe.runtime_health import RuntimeHealth
from pykubelet.observe.runtime_view import RuntimeView
from pykubelet.observe.termination import TerminationMessages
from pykubelet.report.events import Recorder


class ObserveLoop:
    """`async with` opens what probes need. `wake(uid)` is called when a Pod is not as it was, `began(uid)` instead when
    an event told that something of it began."""

    def __init__(
        self,
        runtime: runtime_api.RuntimeService,
        health: RuntimeHealth,
        *,
        events: Recorder,
        wake: Callable[[Uid], None],
        began: Callable[[Uid], None],
    ) -> None:
        self.runtime = runtime
        self.health = health
        self.machine = machine.read()
        self.view = RuntimeView(runtime, wake=wake, began=began)
        self.relist = Relist(self.view)
        self.messages = TerminationMessages()
        self._caller = Caller(runtime)
        self.probes = Probes(self._caller, events, wake=wake, clock=SystemClock())

    async def __aenter__(self) -> Self:
        await self._caller.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._caller.__aexit__(kind, error, trace)

    def start(self, tasks: Tasks, *, restart: Backoff) -> None:
        """Have it all run, but for `health`, which concerns the Node."""
        start = functools.partial(tasks.start, restart=restart)
        start("relist", self.relist.run)
        start("cri-events", lambda: cri_events.run(self.runtime, self.view, self.relist))
        tasks.start("probes", self.probes.run)

    def handlers(self) -> tuple[RuntimeHandler, ...]:
        """What the runtime can run containers with; none before it has said so."""
        return self.health.status.handlers if self.health.status else ()
