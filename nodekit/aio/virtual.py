"""An event loop whose time is virtual: sleeps, timers and timeouts of a test pass at once, in their order."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Stuck(AssertionError):
    """Every task waits for something that no timer will bring."""


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for I/O until the next timer is due, moves the loop's time to it."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise Stuck("all tasks wait and no timer is set: the scenario can never end")
        self.now += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Begins at 0.0 and waits for nothing."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the loop began."""
        return self._virtual.now


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a scenario to its end in virtual time; raises Stuck when nothing could ever wake it."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario)
