"""Calls that may take very long or never return, each in a thread of its own.

The loop's default executor has few threads: a handful of calls that hang would stop everything else that uses it, and
a program could not end before they do.
"""

import asyncio
import contextlib
import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)


def start(work: Callable[[], T]) -> asyncio.Future[T]:
    """Call `work()` in a new thread; its result or error. The end of the program does not wait for it.

    Cancelling the future does not end the thread: shield it if the thread's end matters.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        tell: Callable[[], None]
        try:
            tell = functools.partial(_tell, future, future.set_result, work())
        except BaseException as error:
            tell = functools.partial(_tell, future, future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=run, daemon=True).start()
    return future


async def to_its_end(work: Callable[[], T]) -> T:
    """Call `work()` in a new thread and await it; a cancellation takes effect only once the thread has ended."""
    running = start(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            # Asking again does not hurry it.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if (error := running.exception()) is not None:
            log.debug("it failed after it was cancelled: %s", error)
        raise


def _tell(future: asyncio.Future[T], how: Callable[[Any], None], what: object) -> None:
    if not future.done():
        how(what)
