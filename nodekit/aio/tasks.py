"""Named, supervised tasks: each crash is logged with its name, and restarts the task or ends the program, as asked."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

from nodekit.aio.backoff import Backoff

log = logging.getLogger(__name__)


class Tasks:
    """`async with Tasks() as tasks: tasks.start("relist", relist.run)`.

    Leaving the block waits for all tasks. When one that is not restarted crashes, the others are cancelled and the
    block raises its error in an ExceptionGroup.
    """

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> "Tasks":
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._group.__aexit__(kind, error, trace)

    def start(
        self, name: str, work: Callable[[], Coroutine[Any, Any, None]], *, restart: Backoff | None = None
    ) -> asyncio.Task[None]:
        """Run `work()` as a task of that name; with `restart`, again after a crash, each time a little later."""
        return self._group.create_task(_supervise(name, work, restart), name=name)


async def _supervise(name: str, work: Callable[[], Coroutine[Any, Any, None]], restart: Backoff | None) -> None:
    failures = 0
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            await work()
            return
        except Exception:
            if restart is None:
                log.critical("task %s crashed: the program ends", name, exc_info=True)
                raise
            # One that ran well for long starts its row of failures anew.
            failures = 1 if loop.time() - began > 2 * restart.cap else failures + 1
            delay = restart.delay(failures)
            log.exception("task %s crashed, restarted in %.1fs", name, delay)
            await asyncio.sleep(delay)
