"""Threads of their own: waited for when they must be, in nobody's way when they hang."""

import asyncio
import gc
import subprocess
import sys
import threading

import pytest

from nodekit.aio import threads


async def test_what_it_gives_or_raises_comes_back() -> None:
    assert await threads.start(lambda: threading.current_thread().daemon)
    assert await threads.to_its_end(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        await threads.to_its_end(lambda: 1 // 0)


async def test_a_cancellation_waits_for_the_thread() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)
        done.set()

    waiting = asyncio.create_task(threads.to_its_end(work))
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(2):
        waiting.cancel()
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done.is_set()


async def test_an_error_after_the_cancellation_is_told_to_nobody() -> None:
    go_on = threading.Event()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    def work() -> None:
        go_on.wait(10)
        raise OSError("too late")

    waiting = asyncio.create_task(threads.to_its_end(work))
    await asyncio.sleep(0)
    waiting.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    del waiting
    gc.collect()
    assert complaints == []


_HANGING = """
import asyncio, threading
from nodekit.aio import threads

async def main():
    hung = [threads.start(threading.Event().wait) for _ in range(100)]
    await asyncio.to_thread(print, "the executor is free", flush=True)

asyncio.run(main())
"""


def test_calls_that_hang_fill_no_executor_and_let_the_program_end() -> None:
    ended = subprocess.run([sys.executable, "-c", _HANGING], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "the executor is free\n", "")
