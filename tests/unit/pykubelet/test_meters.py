"""What the agent counts while it works: the labels, and that each count moves when the thing happens."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nodekit.aio import virtual
from nodekit.metrics import Metrics
from pykubelet import meters
from pykubelet.cri import errors
from pykubelet.cri.fake import Program
from pykubelet.decide.admission import Rejected
from tests.unit.pykubelet.act.scene import Scene, pod


async def started(scene: Scene) -> None:
    scene.want(pod("web", "a", "b"))
    await asyncio.sleep(1)


async def refused_by_the_runtime(scene: Scene) -> None:
    scene.runtime.world.fail("RunPodSandbox", errors.CriError("RunPodSandbox", detail="no network"))
    await started(scene)


async def rejected(scene: Scene) -> None:
    scene.told.rejection = Rejected("OutOfpods", "full")
    await started(scene)


async def made_again(scene: Scene) -> None:
    wanted = pod()
    scene.runtime.world.script("main", Program(stop_takes=3.0))
    scene.want(wanted)
    await asyncio.sleep(1)
    scene.vanish(wanted)
    await asyncio.sleep(0.1)
    scene.want(wanted)
    await asyncio.sleep(60)


async def will_not_start(scene: Scene) -> None:
    scene.runtime.world.fail("StartContainer", errors.CriError("StartContainer", detail="no such file"))
    scene.want(pod())
    await asyncio.sleep(1)


async def image_is_here(scene: Scene) -> None:
    for name in ("first", "second"):
        scene.want(pod(name))
        await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("scenario", "sample", "labels", "by"),
    [
        pytest.param(started, "kubelet_started_pods_total", {}, 1, id="a Pod starts"),
        pytest.param(started, "kubelet_started_user_namespaced_pods_total", {}, 0, id="with the node's user ids"),
        pytest.param(started, "kubelet_containers_per_pod_count_sum", {}, 2, id="it has two containers"),
        pytest.param(started, "kubelet_started_containers_total", {"container_type": "container"}, 2, id="which start"),
        pytest.param(
            started, "kubelet_run_podsandbox_duration_seconds_count", {"runtime_handler": ""}, 1, id="in a sandbox"
        ),
        pytest.param(
            started, "kubelet_pod_worker_duration_seconds_count", {"operation_type": "create"}, 1, id="its first step"
        ),
        pytest.param(started, "kubelet_pod_worker_start_duration_seconds_count", {}, 1, id="which began at once"),
        pytest.param(
            started,
            "kubelet_image_manager_ensure_image_requests_total",
            {"pull_policy": "ifnotpresent", "present_locally": "false", "pull_required": "true"},
            2,
            id="images are pulled",
        ),
        pytest.param(
            image_is_here,
            "kubelet_image_manager_ensure_image_requests_total",
            {"pull_policy": "ifnotpresent", "present_locally": "true", "pull_required": "false"},
            1,
            id="an image is here already",
        ),
        pytest.param(refused_by_the_runtime, "kubelet_started_pods_errors_total", {}, 1, id="no sandbox"),
        pytest.param(
            refused_by_the_runtime, "kubelet_run_podsandbox_errors_total", {"runtime_handler": ""}, 1, id="its error"
        ),
        pytest.param(
            will_not_start,
            "kubelet_started_containers_errors_total",
            {"container_type": "container", "code": "RunContainerError"},
            1,
            id="a container that does not start",
        ),
        pytest.param(rejected, "kubelet_admission_rejections_total", {"reason": "OutOfpods"}, 1, id="no room"),
        pytest.param(made_again, "kubelet_restarted_pods_total", {"static": ""}, 1, id="the same UID comes again"),
    ],
)
def test_what_happens_is_counted(
    tmp_path: Path,
    scenario: Callable[[Scene], Awaitable[None]],
    sample: str,
    labels: dict[str, str],
    by: float,
) -> None:
    async def run() -> None:
        scene = Scene(tmp_path)
        async with scene.running():
            await scenario(scene)

    def now() -> float:
        return meters.FAMILIES.registry.get_sample_value(sample, labels) or 0.0

    before = now()
    virtual.run(run())
    assert now() - before == by


def test_requests_are_counted_by_server_and_code() -> None:
    meter, host = meters.RequestMeter(), "198.18.9.9:6443"
    meter.answered("GET", host, code=200)
    meter.answered("GET", host, code=None)
    meter.asked("GET", host, seconds=0.3, sent=0, received=70)
    meter.asked("GET", host, seconds=9.0, sent=0, received=None)
    value = meters.FAMILIES.registry.get_sample_value
    requests = "rest_client_requests_total"
    assert value(requests, {"code": "200", "method": "GET", "host": host}) == 1
    assert value(requests, {"code": "<error>", "method": "GET", "host": host}) == 1
    about = {"verb": "GET", "host": host}
    assert value("rest_client_request_duration_seconds_count", about) == 2
    assert value("rest_client_response_size_bytes_bucket", {**about, "le": "256.0"}) == 1
    assert value("rest_client_response_size_bytes_count", about) == 1


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        pytest.param("", "kubelet_evictions", id="text"),
        pytest.param("application/openmetrics-text", "kubelet_evictions_total", id="OpenMetrics, which insists"),
    ],
)
def test_a_counter_may_have_no_total_in_its_name(accept: str, name: str) -> None:
    meters.evictions.labels("memory.available").inc(0)
    shown = Metrics()
    shown.include(meters.FAMILIES)
    text = shown.exposition(accept)[0].decode()
    family = name if not accept else "kubelet_evictions"
    assert f"# TYPE {family} counter\n" in text
    assert f'\n{name}{{eviction_signal="memory.available"}} ' in text
