"""The fake runtime in virtual time: what containers are scripted to do, they do, and the stream of hints heals."""

import asyncio

import pytest

from nodekit.aio import clock, virtual
from pykubelet.cri import errors, events, fake
from pykubelet.model import observed
from pykubelet.model import runtime_config as rc
from pykubelet.model.ids import ContainerId, Uid

SANDBOX = rc.SandboxSpec(name="p", namespace="ns", uid=Uid("u"), labels={observed.POD_UID_LABEL: "u"})


async def started(runtime: fake.FakeRuntime, *, attempt: int = 0) -> ContainerId:
    spec = rc.ContainerSpec(name="c", image=rc.ImageSpec(image="i"), attempt=attempt, labels=SANDBOX.labels)
    sandboxes = await runtime.list_sandboxes()
    sandbox = sandboxes[0].id if sandboxes else await runtime.run_sandbox(SANDBOX)
    container = await runtime.create_container(sandbox, spec, sandbox_spec=SANDBOX)
    await runtime.start_container(container)
    return container


def test_a_program_exits_when_it_is_told_to_and_by_attempt() -> None:
    async def scenario() -> None:
        runtime = fake.FakeRuntime(clock=clock.VirtualClock())
        runtime.world.script("c", fake.Program(exits_after=600, code=1), fake.Program())
        first = await started(runtime)
        await asyncio.sleep(599)
        assert len(await runtime.list_containers(state=observed.ContainerState.RUNNING)) == 1
        await asyncio.sleep(2)
        seen = await runtime.container_status(first, sandbox=(await runtime.list_sandboxes())[0].id)
        assert (seen.exit_code, seen.finished_at - seen.started_at) == (1, 600)
        await started(runtime, attempt=1)
        await asyncio.sleep(10_000)
        assert len(await runtime.list_containers(state=observed.ContainerState.RUNNING)) == 1

    virtual.run(scenario())


def test_a_call_fails_as_often_as_it_is_told_to() -> None:
    async def scenario() -> None:
        runtime = fake.FakeRuntime(clock=clock.VirtualClock())
        runtime.world.fail("RunPodSandbox", errors.CriError("RunPodSandbox", detail="CNI said no"), times=2)
        for _ in range(2):
            with pytest.raises(errors.CriError, match="CNI said no"):
                await runtime.run_sandbox(SANDBOX)
        await runtime.run_sandbox(SANDBOX)
        assert [call for call, _ in runtime.world.calls] == ["RunPodSandbox"] * 3

    virtual.run(scenario())


def test_hints_go_on_after_the_stream_broke() -> None:
    async def scenario() -> list[str]:
        runtime = fake.FakeRuntime(clock=clock.VirtualClock())
        seen: list[str] = []

        async def listen() -> None:
            async for hint in events.follow(runtime):
                seen.append("gap" if isinstance(hint, events.Gap) else hint.kind.value)

        listener = asyncio.create_task(listen(), name="listener")
        await asyncio.sleep(1)
        await runtime.run_sandbox(SANDBOX)
        await asyncio.sleep(1)
        runtime.world.break_streams()
        runtime.world.down = True
        await asyncio.sleep(10)
        runtime.world.down = False
        await asyncio.sleep(events.RETRY_MOST + 0.1)
        runtime.world.lose_sandbox((await runtime.list_sandboxes())[0].id)
        await asyncio.sleep(1)
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
        return seen

    seen = virtual.run(scenario())
    assert seen[:3] == ["gap", "created", "started"]
    assert 10 < seen.count("gap") < 20
    assert seen[-2:] == ["gap", "stopped"]


def test_a_runtime_without_events_ends_the_hints_at_once() -> None:
    async def scenario() -> list[events.Hint]:
        runtime = fake.FakeRuntime(clock=clock.VirtualClock())
        runtime.world.unimplemented.add("GetContainerEvents")
        return [hint async for hint in events.follow(runtime)]

    assert len(virtual.run(scenario())) == 1
