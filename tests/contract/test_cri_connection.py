"""The container runtime's contract: its events, a runtime that is away or comes back, and how it is reached."""

import asyncio
import contextlib
import time
from pathlib import Path

import grpc
import pytest

from pykubelet.cri import channel, errors, events
from pykubelet.cri.runtime import Runtime
from pykubelet.model import observed
from tests.contract.cri_kit import Does, Kit


async def test_each_step_of_a_container_is_hinted_at(kit: Kit) -> None:
    if kit.old:
        assert [type(hint) async for hint in events.follow(kit.runtime)] == [events.Gap]
        return
    seen: asyncio.Queue[events.Hint] = asyncio.Queue()

    async def listen() -> None:
        async for hint in events.follow(kit.runtime):
            seen.put_nowait(hint)

    listener = asyncio.create_task(listen(), name="listener")
    try:
        assert isinstance(await asyncio.wait_for(seen.get(), 5), events.Gap)
        await asyncio.sleep(0.2)  # the stream opens behind the gap
        ended = await kit.until_exited(await kit.container(Does.EXITS_3))
        kinds = []
        async with asyncio.timeout(5):
            while observed.EventKind.STOPPED not in kinds:
                hint = await seen.get()
                if isinstance(hint, observed.RuntimeEvent) and hint.container_id == ended.id:
                    kinds.append(hint.kind)
                    assert hint.pod_uid == ended.pod_uid
    finally:
        listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listener
    steps = [observed.EventKind.CREATED, observed.EventKind.STARTED, observed.EventKind.STOPPED]
    # Of a container that ends at once CRI-O may tell of the end before it tells of the start.
    assert kinds == steps or (kit.crio and kinds == [steps[0], steps[2]])


async def test_a_runtime_that_is_not_there_is_unavailable_and_says_where_to_look(tmp_path: Path) -> None:
    async with channel.open_channel(f"unix://{tmp_path}/nobody.sock") as connection:
        with pytest.raises(errors.Unavailable, match="--container-runtime-endpoint"):
            await Runtime(connection).version()


async def test_a_restarted_containerd_is_used_again_within_seconds_and_its_events_too(
    request: pytest.FixtureRequest,
) -> None:
    daemon = request.getfixturevalue("containerd")
    gaps: asyncio.Queue[events.Hint] = asyncio.Queue()

    async def listen(runtime: Runtime) -> None:
        async for hint in events.follow(runtime):
            gaps.put_nowait(hint)

    async with channel.open_channel(daemon.endpoint) as connection:
        runtime = Runtime(connection)
        await runtime.version()
        listener = asyncio.create_task(listen(runtime), name="listener")
        try:
            await asyncio.wait_for(gaps.get(), 5)
            await asyncio.to_thread(daemon.kill)
            with pytest.raises(errors.Unavailable):
                await runtime.version()
            await asyncio.sleep(2)
            await asyncio.to_thread(daemon.start)
            began = time.monotonic()
            while True:
                try:
                    await runtime.version()
                    break
                except errors.Unavailable:
                    assert time.monotonic() - began < 3
                    await asyncio.sleep(0.05)
            async with asyncio.timeout(3):
                while not daemon.old and not isinstance(await gaps.get(), events.Gap):
                    pass
        finally:
            listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listener


def test_the_channel_limits_are_those_of_the_genuine_kubelet() -> None:
    assert channel.MAX_MESSAGE == 16 * 1024 * 1024
    assert grpc.__version__


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        pytest.param("unix:///run/containerd/containerd.sock", "unix:/run/containerd/containerd.sock", id="a socket"),
        pytest.param("/run/c.sock", "unix:/run/c.sock", id="a bare path is a socket"),
        pytest.param("tcp://127.0.0.1:1234", "dns:///127.0.0.1:1234", id="a TCP address"),
    ],
)
def test_an_endpoint_has_a_target(endpoint: str, target: str) -> None:
    assert channel.address(endpoint) == target


@pytest.mark.parametrize("endpoint", ["", "npipe:////./pipe/x", "unix://relative/path", "tcp://nowhere", "http://x:1"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="expected unix:///"):
        channel.address(endpoint)
