"""Bounds on how much runs at once, groups of tasks and back-offs, in virtual time."""

import asyncio

import pytest

from nodekit.aio import backoff, bounded, tasks, virtual


def test_a_limiter_is_fair_and_never_exceeded() -> None:
    order: list[int] = []

    async def scenario() -> None:
        limiter = bounded.Limiter(2)

        async def hold(number: int) -> None:
            async with limiter:
                order.append(number)
                await asyncio.sleep(1)

        await asyncio.gather(*(hold(number) for number in range(6)))
        assert order == list(range(6))
        assert asyncio.get_running_loop().time() == pytest.approx(3)

    virtual.run(scenario())


def test_a_crash_ends_the_others_and_is_raised() -> None:
    ended: list[str] = []

    async def crash() -> None:
        await asyncio.sleep(1)
        raise RuntimeError("broken")

    async def stay() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            ended.append("stay")

    async def scenario() -> None:
        async with tasks.Tasks() as group:
            group.start("crash", crash)
            group.start("stay", stay)

    with pytest.raises(ExceptionGroup) as caught:
        virtual.run(scenario())
    assert caught.group_contains(RuntimeError, match="broken")
    assert ended == ["stay"]


def test_a_task_that_may_be_restarted_is() -> None:
    at: list[float] = []

    async def work() -> None:
        at.append(asyncio.get_running_loop().time())
        if len(at) < 3:
            raise RuntimeError("broken")

    async def scenario() -> None:
        async with tasks.Tasks() as group:
            group.start("work", work, restart=backoff.Backoff(base=1, cap=10))

    virtual.run(scenario())
    assert at == pytest.approx([0, 1, 3])


def test_jitter_only_lengthens() -> None:
    jittered = backoff.Backoff(base=1, cap=8, jitter=0.5)
    assert jittered.delay(4, random=lambda: 0.5) == 10.0
    assert jittered.delay(10_000) == 8.0


def test_a_scenario_that_cannot_end_says_so() -> None:
    async def scenario() -> None:
        await asyncio.Event().wait()

    with pytest.raises(virtual.Stuck):
        virtual.run(scenario())
