"""Resources of containers that another kubelet, or the one before this, has started."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from nodekit.aio.virtual import run
from pykubelet.cri.fake import FakeRuntime
from pykubelet.model.container import ResizePolicy, ResourceRequirements
from pykubelet.model.pod import Pod
from pykubelet.model.status import PodStatus
from tests.unit.pykubelet.act.scene import Scene, pod

RESTART = (ResizePolicy(resource_name="cpu", restart_policy="RestartContainer"),)


def asking(cpu: str, policy: tuple[ResizePolicy, ...] = (), status: PodStatus | None = None) -> Pod:
    made = pod()
    own = ResourceRequirements(requests={"cpu": cpu, "memory": "64Mi"}, limits={"cpu": cpu, "memory": "64Mi"})
    one = msgspec.structs.replace(made.spec.containers[0], resources=own, resize_policy=policy)
    spec = msgspec.structs.replace(made.spec, containers=(one,))
    return msgspec.structs.replace(made, spec=spec, status=status or PodStatus())


async def ran_before(folder: Path, wanted: Pod) -> tuple[FakeRuntime, PodStatus]:
    """What an agent leaves behind: a runtime with the Pod, and the status the API has."""
    first = Scene(folder)
    async with first.running():
        first.want(wanted)
        await asyncio.sleep(5)
    return first.runtime, first.told.statuses[wanted.uid]


def shown(scene: Scene, wanted: Pod) -> ResourceRequirements | None:
    (container,) = scene.told.statuses[wanted.uid].container_statuses
    return container.resources


@pytest.mark.parametrize("policy", [pytest.param((), id="in place"), pytest.param(RESTART, id="by a restart")])
@pytest.mark.parametrize("told", [pytest.param(True, id="told of"), pytest.param(False, id="not told of yet")])
def test_an_adopted_pod_that_is_not_resized_is_left_alone(
    tmp_path: Path, *, policy: tuple[ResizePolicy, ...], told: bool
) -> None:
    async def scenario() -> None:
        runtime, status = await ran_before(tmp_path, asking("1", policy))
        second = Scene(tmp_path, runtime)
        second.want(asking("1", policy, status if told else None))
        async with second.running():
            await asyncio.sleep(120)
            assert second.calls("UpdateContainerResources") == 0
            assert second.states() == [("main", 0, "Running")]

    run(scenario())


@pytest.mark.parametrize("told", [pytest.param(True, id="told of"), pytest.param(False, id="not told of yet")])
def test_an_adopted_container_is_resized(tmp_path: Path, *, told: bool) -> None:
    async def scenario() -> None:
        runtime, status = await ran_before(tmp_path, asking("1"))
        second = Scene(tmp_path, runtime)
        second.want(asking("1", status=status if told else None))
        async with second.running():
            await asyncio.sleep(5)
            assert not any(reason.startswith("Resize") for reason, _ in second.told.events)
            second.want(asking("2", status=status if told else None))
            await asyncio.sleep(5)
            told_of = [reason for reason, _ in second.told.events if reason.startswith("Resize")]
            assert told_of == ["ResizeStarted", "ResizeCompleted"]
            assert second.calls("UpdateContainerResources") == 1
            assert second.states() == [("main", 0, "Running")]
            assert shown(second, asking("2")) == asking("2").spec.containers[0].resources

    run(scenario())


def test_an_adopted_container_restarts_for_a_resize_that_asks_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime, status = await ran_before(tmp_path, asking("1", RESTART))
        second = Scene(tmp_path, runtime)
        second.want(asking("1", RESTART, status))
        async with second.running():
            await asyncio.sleep(5)
            second.want(asking("2", RESTART, status))
            await asyncio.sleep(60)
            assert second.states()[-1] == ("main", 1, "Running")
            assert second.told.limited == [200_000], "the Pod's cgroup has to allow it"

    run(scenario())


def test_a_resize_that_was_asked_for_while_no_kubelet_ran_is_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime, status = await ran_before(tmp_path, asking("1"))
        second = Scene(tmp_path, runtime)
        second.runtime.world.delays["UpdateContainerResources"] = 2.0
        second.want(asking("2", status=status))
        async with second.running():
            await asyncio.sleep(1)
            assert shown(second, asking("1")) == asking("1").spec.containers[0].resources, "not yet"
            await asyncio.sleep(5)
            assert second.calls("UpdateContainerResources") == 1
            assert shown(second, asking("2")) == asking("2").spec.containers[0].resources

    run(scenario())
