"""How long Pods take to start."""

import asyncio
import datetime as dt

from nodekit.aio import virtual
from nodekit.aio.clock import VirtualClock
from nodekit.objects.meta import ObjectMeta
from pykubelet.model.pod import Pod
from pykubelet.model.status import ContainerState, ContainerStatus, PodStatus, Running, Waiting
from pykubelet.report.start_latency import StartLatency

CREATED = dt.datetime(2026, 11, 24, 10, 14, 58, tzinfo=dt.UTC)
POD = Pod(metadata=ObjectMeta(name="web", uid="u1", creation_timestamp=CREATED))


def status(phase: str, state: ContainerState) -> PodStatus:
    one = ContainerStatus(
        name="app", ready=False, restart_count=0, image="i", image_id="", state=state, last_state=ContainerState()
    )
    return PodStatus(phase=phase, container_statuses=(one,))


WAITS = status("Pending", ContainerState(waiting=Waiting(reason="ContainerCreating")))
RUNS = status("Running", ContainerState(running=Running()))


def measured(*steps: PodStatus) -> tuple[list[float], list[float]]:
    """The times told when these statuses follow each other a second apart."""
    seen: list[float] = []
    created: list[float] = []

    async def scenario() -> None:
        latency = StartLatency(seen=seen.append, created=created.append, clock=VirtualClock())
        for step in steps:
            latency.published(POD, step)
            await asyncio.sleep(1.0)

    virtual.run(scenario())
    return seen, created


def test_a_start_counts_once() -> None:
    assert measured(WAITS, WAITS, RUNS, WAITS, RUNS) == ([2.0], [4.0])


def test_what_ran_already_does_not_count() -> None:
    assert measured(RUNS, WAITS, RUNS) == ([], [])
