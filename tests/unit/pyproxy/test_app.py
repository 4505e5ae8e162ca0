"""When the agent ends, and whether it then starts anew."""

import asyncio
import os
import signal

import pytest

from pyproxy import app


class Work:
    """Goes on until it is cancelled; then `at_the_end` happens, and it needs a moment for its end."""

    def __init__(self, at_the_end: signal.Signals | None) -> None:
        self.began = asyncio.Event()
        self._at_the_end = at_the_end

    async def run(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            if self._at_the_end is not None:
                os.kill(os.getpid(), self._at_the_end)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("at_the_end", "anew"),
    [
        pytest.param(None, True, id="a changed configuration starts it anew"),
        pytest.param(signal.SIGTERM, False, id="SIGTERM while it ends for that has it end for good"),
        pytest.param(signal.SIGINT, False, id="so does SIGINT"),
    ],
)
async def test_a_changed_configuration(at_the_end: signal.Signals | None, anew: bool) -> None:
    work = Work(at_the_end)

    async def change() -> None:
        await work.began.wait()

    assert await app._until_told(work.run(), change()) is anew


@pytest.mark.parametrize("watched", [True, False])
async def test_a_signal_ends_it(watched: bool) -> None:
    work = Work(None)

    async def never() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(app._until_told(work.run(), never() if watched else None))
    await work.began.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await task is False


async def test_a_configuration_that_changes_while_it_ends_after_a_signal_does_not_start_it_anew() -> None:
    work, asked = Work(None), asyncio.Event()

    async def change() -> None:
        await asked.wait()

    task = asyncio.create_task(app._until_told(work.run(), change()))
    await work.began.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    asked.set()
    assert await task is False


async def test_an_error_of_the_work_is_the_end() -> None:
    async def fails() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        await app._until_told(fails(), None)
