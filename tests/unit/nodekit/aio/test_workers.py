"""Keyed workers: no wake-up is lost, no key runs twice at once, a failing key hurts only itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodekit.aio import virtual, workers
from nodekit.aio.backoff import Backoff


@contextlib.asynccontextmanager
async def running(
    handle: Callable[[str], Awaitable[float | None]], **more: object
) -> AsyncIterator[workers.KeyedWorkers[str]]:
    made: workers.KeyedWorkers[str] = workers.KeyedWorkers(handle, name="test", **more)  # type: ignore[arg-type]
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_a_wake_up_during_a_call_causes_exactly_one_more() -> None:
    calls: list[str] = []

    async def handle(key: str) -> None:
        calls.append(key)
        await asyncio.sleep(1)

    async def scenario() -> None:
        async with running(handle) as made:
            made.wake("a")
            await asyncio.sleep(0.5)
            made.wake("a")
            made.wake("a")
            await asyncio.sleep(10)
            assert calls == ["a", "a"]
            assert made.keys == frozenset()

    virtual.run(scenario())


def test_wake_ups_before_the_start_are_kept() -> None:
    calls: list[str] = []

    async def handle(key: str) -> None:
        calls.append(key)

    async def scenario() -> None:
        made: workers.KeyedWorkers[str] = workers.KeyedWorkers(handle, name="test")
        made.wake("a")
        task = asyncio.create_task(made.run())
        await asyncio.sleep(1)
        assert calls == ["a"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    virtual.run(scenario())


def test_keys_run_at_the_same_time_and_each_in_sequence() -> None:
    under_way: list[str] = []
    most = 0

    async def handle(key: str) -> None:
        nonlocal most
        assert key not in under_way
        under_way.append(key)
        most = max(most, len(under_way))
        await asyncio.sleep(1)
        under_way.remove(key)

    async def scenario() -> None:
        async with running(handle) as made:
            for _ in range(3):
                for key in "abc":
                    made.wake(key)
                await asyncio.sleep(0.4)
            await asyncio.sleep(5)
        assert most == 3

    virtual.run(scenario())


def test_a_returned_delay_runs_the_key_again_and_a_wake_up_comes_first() -> None:
    at: list[float] = []

    async def handle(key: str) -> float | None:
        at.append(asyncio.get_running_loop().time())
        return 10.0 if len(at) < 3 else None

    async def scenario() -> None:
        async with running(handle) as made:
            made.wake("a")
            await asyncio.sleep(4)
            made.wake("a")
            await asyncio.sleep(30)
        assert at == pytest.approx([0, 4, 14])

    virtual.run(scenario())


def test_a_failing_key_is_backed_off_alone() -> None:
    at: dict[str, list[float]] = {"bad": [], "good": []}
    told: list[float] = []

    async def handle(key: str) -> float | None:
        at[key].append(asyncio.get_running_loop().time())
        if key == "bad":
            raise RuntimeError("no")
        return 1.0

    async def scenario() -> None:
        async with running(
            handle, backoff=Backoff(base=1, cap=4), on_error=lambda key, error, delay: told.append(delay)
        ) as made:
            made.wake("bad")
            made.wake("good")
            await asyncio.sleep(7.5)
        assert at["bad"] == pytest.approx([0, 1, 3, 7])
        assert len(at["good"]) == 8
        assert told == [1, 2, 4, 4]

    virtual.run(scenario())


def test_a_wake_up_shortens_a_backoff_to_its_base() -> None:
    at: list[float] = []

    async def handle(key: str) -> None:
        at.append(asyncio.get_running_loop().time())
        if len(at) < 4:
            raise RuntimeError("no")

    async def scenario() -> None:
        async with running(handle, backoff=Backoff(base=1, cap=100, factor=50)) as made:
            made.wake("a")
            await asyncio.sleep(1.5)  # failed at 0 and 1, due again at 51
            for _ in range(5):
                made.wake("a")
            await asyncio.sleep(1)
            made.wake("a")
            await asyncio.sleep(1)
        assert at == pytest.approx([0, 1, 2, 3])

    virtual.run(scenario())


def test_the_end_cancels_and_awaits_calls_under_way() -> None:
    ended: list[str] = []

    async def handle(key: str) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(1)
            ended.append(key)

    async def scenario() -> None:
        async with running(handle) as made:
            made.wake("a")
            made.wake("b", after=50)
            await asyncio.sleep(1)
        assert ended == ["a"]

    virtual.run(scenario())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 0.3), st.sampled_from("abc"), st.booleans()), max_size=25))
def test_the_last_state_written_before_a_wake_up_is_always_seen(steps: list[tuple[float, str, bool]]) -> None:
    state = dict.fromkeys("abc", 0)
    seen = dict.fromkeys("abc", 0)
    fail_next: set[str] = set()

    async def handle(key: str) -> None:
        value = state[key]
        await asyncio.sleep(0.1)
        if key in fail_next:
            fail_next.discard(key)
            raise RuntimeError("asked to")
        seen[key] = value

    async def scenario() -> None:
        async with running(handle) as made:
            for wait, key, fails in steps:
                await asyncio.sleep(wait)
                state[key] += 1
                if fails:
                    fail_next.add(key)
                made.wake(key)
            await asyncio.sleep(100)
            assert seen == state
            assert made.keys == frozenset()

    virtual.run(scenario())
