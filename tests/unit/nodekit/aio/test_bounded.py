"""Bounds on how much and how often, in virtual time."""

import asyncio
import contextlib

import pytest

from nodekit.aio import backoff, bounded, tasks, virtual


def test_a_limiter_is_fair_and_never_exceeded() -> None:
    order: list[int] = []

    async def scenario() -> None:
        limiter = bounded.Limiter(2)

        async def hold(number: int) -> None:
            async with limiter:
                order.append(number)
                assert limiter.held <= 2
                await asyncio.sleep(1)

        await asyncio.gather(*(hold(number) for number in range(6)))
        assert order == list(range(6))
        assert asyncio.get_running_loop().time() == pytest.approx(3)

    virtual.run(scenario())


async def drive(runner: bounded.BoundedRunner, triggers: list[float], until: float) -> None:
    task = asyncio.create_task(runner.run())
    loop = asyncio.get_running_loop()
    for at in triggers:
        await asyncio.sleep(at - loop.time())
        runner.trigger()
    await asyncio.sleep(until - loop.time())
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("limits", "triggers", "runs"),
    [
        pytest.param({"settle": 0.01}, [1, 1.005, 1.008, 2], [1.01, 2.01], id="triggers close together share a run"),
        pytest.param({"min_interval": 1}, [1, 1.5, 1.6, 5], [1.005, 2.005, 5.005], id="runs keep their distance"),
        pytest.param({"max_interval": 3}, [1], [1.005, 4.01, 7.015, 10.02], id="a run comes without a trigger"),
        pytest.param({}, [], [], id="no trigger, no run"),
    ],
)
def test_when_runs_happen(limits: dict[str, float], triggers: list[float], runs: list[float]) -> None:
    at: list[float] = []

    async def work() -> None:
        at.append(asyncio.get_running_loop().time())

    async def scenario() -> None:
        await drive(bounded.BoundedRunner(work, **limits), triggers, 11)

    virtual.run(scenario())
    assert at == pytest.approx(runs)


def test_a_failed_run_is_repeated_without_a_trigger() -> None:
    at: list[float] = []

    async def work() -> None:
        at.append(asyncio.get_running_loop().time())
        if len(at) < 3:
            raise RuntimeError("no")

    async def scenario() -> None:
        await drive(bounded.BoundedRunner(work, settle=0), [1], 11)

    virtual.run(scenario())
    assert at == pytest.approx([1, 1.05, 1.15])


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
            assert group.names == ["crash", "stay"]

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


def test_cancelling_the_group_is_a_clean_end() -> None:
    async def scenario() -> None:
        async with tasks.Tasks() as group:
            group.start("sleep", lambda: asyncio.sleep(1000))
            await asyncio.sleep(1)
            group.cancel()

    virtual.run(scenario())


def test_a_table_counts_per_key_and_forgets_after_a_long_quiet() -> None:
    table: backoff.BackoffTable[str] = backoff.BackoffTable(backoff.Backoff(base=1, cap=8))
    assert [table.failed("a", now=0), table.failed("a", now=1), table.failed("b", now=1)] == [1, 2, 1]
    assert table.ready_in("a", now=1) == 2
    assert table.ready_in("a", now=9) == 0
    assert table.failed("a", now=100) == 1
    table.forget("a")
    assert table.failures("a") == 0


def test_jitter_only_lengthens() -> None:
    jittered = backoff.Backoff(base=1, cap=8, jitter=0.5)
    assert jittered.delay(4, random=lambda: 0.5) == 10.0
    assert jittered.delay(10_000) == 8.0


def test_a_scenario_that_cannot_end_says_so() -> None:
    async def scenario() -> None:
        await asyncio.Event().wait()

    with pytest.raises(virtual.Stuck):
        virtual.run(scenario())
