"""How long Pods take to start."""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Sequence

import msgspec
import pytest

from nodekit.aio import virtual
from nodekit.aio.clock import VirtualClock
from nodekit.objects.meta import ObjectMeta
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.status import ContainerState, ContainerStatus, PodStatus, Running, Terminated, Waiting
from pykubelet.model.volume import EmptyDirSource, HostPathSource, Volume
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


@dataclasses.dataclass
class Heard:
    """The times that were told."""

    seen_: list[float] = dataclasses.field(default_factory=list)
    created_: list[float] = dataclasses.field(default_factory=list)
    rest: list[tuple[float, bool]] = dataclasses.field(default_factory=list)

    def seen(self, seconds: float) -> None:
        self.seen_.append(seconds)

    def created(self, seconds: float) -> None:
        self.created_.append(seconds)

    def without_pulls(self, seconds: float, *, network: bool) -> None:
        self.rest.append((seconds, network))


def measured(*steps: PodStatus, pod: Pod = POD, pulls: Sequence[tuple[float, float]] = ()) -> Heard:
    """The times told when these statuses follow each other a second apart."""
    heard = Heard()

    async def scenario() -> None:
        latency = StartLatency(heard, clock=VirtualClock())
        for began, ended in pulls:
            latency.pulled(pod.uid, began, ended)
        for step in steps:
            latency.published(pod, step)
            await asyncio.sleep(1.0)

    virtual.run(scenario())
    return heard


def test_a_start_counts_once() -> None:
    heard = measured(WAITS, WAITS, RUNS, WAITS, RUNS)
    assert (heard.seen_, heard.created_, heard.rest) == ([2.0], [4.0], [(4.0, True)])


def test_what_ran_already_does_not_count() -> None:
    assert measured(RUNS, WAITS, RUNS) == Heard()


def ended(seconds: float) -> PodStatus:
    run = Terminated(exit_code=0, started_at=CREATED, finished_at=CREATED + dt.timedelta(seconds=seconds))
    init = ContainerStatus(
        name="init",
        ready=True,
        restart_count=0,
        image="i",
        image_id="",
        state=ContainerState(terminated=run),
        last_state=ContainerState(),
    )
    return msgspec.structs.replace(RUNS, init_container_statuses=(init,))


def with_volume(volume: Volume, *, host_network: bool = False) -> Pod:
    return msgspec.structs.replace(POD, spec=PodSpec(volumes=(volume,), host_network=host_network))


@pytest.mark.parametrize(
    ("pod", "steps", "pulls", "told"),
    [
        pytest.param(POD, (WAITS, RUNS), [(0.0, 1.0), (0.5, 1.5)], [(1.5, True)], id="pulls side by side count once"),
        pytest.param(
            POD, (WAITS, RUNS), [(2.0, 2.5), (0.0, 1.0)], [(1.5, True)], id="pulls one after the other add up"
        ),
        pytest.param(POD, (WAITS, ended(2.0)), [], [(1.0, True)], id="init containers do not count"),
        pytest.param(POD, (WAITS, ended(9.0)), [], [(0.0, True)], id="never below nothing"),
        pytest.param(
            with_volume(Volume(name="e", empty_dir=EmptyDirSource()), host_network=True),
            (WAITS, RUNS),
            [],
            [(3.0, False)],
            id="a Pod on the node's network",
        ),
        pytest.param(
            with_volume(Volume(name="h", host_path=HostPathSource(path="/h"))),
            (WAITS, RUNS),
            [],
            [],
            id="a Pod with a lasting volume is not told of",
        ),
    ],
)
def test_what_is_left_of_a_start_without_pulls(
    pod: Pod, steps: tuple[PodStatus, ...], pulls: list[tuple[float, float]], told: list[tuple[float, bool]]
) -> None:
    assert measured(*steps, pod=pod, pulls=pulls).rest == told
