"""The agent's own metrics have the genuine kubelet's names."""

import datetime as dt

import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry

from nodekit.metrics import Metrics as ProcessMetrics
from nodekit.objects.meta import ObjectMeta
from pykubelet.cri import meter
from pykubelet.cri.errors import Unavailable
from pykubelet.model.ids import SandboxId, Uid
from pykubelet.model.observed import PodRuntime, Sandbox, SandboxState
from pykubelet.model.pod import Pod
from pykubelet.model.summary import (
    ContainerStats,
    FsStats,
    NodeStats,
    PodReference,
    PodStats,
    PVCReference,
    Summary,
    VolumeStats,
)
from pykubelet.serve import agent_metrics
from pykubelet.serve.agent_metrics import AgentMetrics, ProbeMetrics, Sources
from pykubelet.serve.metrics import Metrics
from pykubelet.serve.metrics_disk import DiskMetrics

NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("rpc", "word"),
    [
        pytest.param("RunPodSandbox", "run_podsandbox", id="a sandbox is one word"),
        pytest.param("CreateContainer", "create_container", id="others have a word for each"),
        pytest.param("Status", "status", id="one word stays"),
    ],
)
def test_operations_are_named_as_usual(rpc: str, word: str) -> None:
    assert agent_metrics.operation(rpc) == word


def test_pods_and_calls_are_counted() -> None:
    uid = Uid("u1")
    sandbox = Sandbox(SandboxId("s"), uid, "default", "web", 0, SandboxState.READY, 0.0)
    static = Pod(metadata=ObjectMeta(name="s", annotations={"kubernetes.io/config.source": "file"}))
    meter.add("RunPodSandbox", 0.2, failed=True)
    registry = CollectorRegistry()
    registry.register(
        AgentMetrics(
            Sources(
                node_name="n1",
                version="v1.37.2+pykubelet.0.1",
                cgroup_version=2,
                desired=lambda: [Pod(), static],
                active=lambda: [Pod()],
                mirrors=list,
                runtime=lambda: [PodRuntime(uid, "default", "web", sandboxes=(sandbox,))],
                working=list,
                plugin=lambda pod, volume: "N/A",
                sockets=lambda: ((), ()),
            )
        )
    )
    assert registry.get_sample_value("kubelet_node_name", {"node": "n1"}) == 1
    assert registry.get_sample_value("kubelet_running_pods") == 1
    assert registry.get_sample_value("kubelet_desired_pods", {"static": "true"}) == 1
    operation = {"operation_type": "run_podsandbox"}
    assert registry.get_sample_value("kubelet_runtime_operations_total", operation) == 1
    assert registry.get_sample_value("kubelet_runtime_operations_errors_total", operation) == 1
    bucket = {**operation, "le": "0.5"}
    slower = {**operation, "le": "0.078125"}
    name = "kubelet_runtime_operations_duration_seconds_bucket"
    assert registry.get_sample_value(name, {**operation, "le": "+Inf"}) == 1
    assert registry.get_sample_value(name, slower) == 0
    assert registry.get_sample_value(name, bucket) is None


async def test_answers_of_probes_are_counted() -> None:
    counts = {("default", "web", "u1", "app", "Liveness", True): 3}
    took = {("default", "web", "u1", "app", "Liveness"): (3, 0.25)}
    text = (await ProbeMetrics(lambda: counts, lambda: took).text()).decode()
    labels = 'container="app",namespace="default",pod="web",probe_type="Liveness"'
    assert f'prober_probe_duration_seconds_bucket{{{labels},le="+Inf"}} 3\n' in text
    assert f"prober_probe_duration_seconds_sum{{{labels}}} 0.25\n" in text
    assert (
        'prober_probe_total{container="app",namespace="default",pod="web",pod_uid="u1",probe_type="Liveness",'
        'result="successful"} 3'
    ) in text


@pytest.mark.parametrize(
    ("accept", "end"),
    [
        pytest.param("", b'data"} 9\n', id="text"),
        pytest.param("application/openmetrics-text", b'data"} 9\n# EOF\n', id="OpenMetrics"),
    ],
)
async def test_what_logs_and_claims_take_is_added_to_the_processes_own_metrics(accept: str, end: bytes) -> None:
    logs = FsStats(time=NOW, used_bytes=7)
    pod = PodStats(
        pod_ref=PodReference(name="web", namespace="default", uid="u1"),
        start_time=NOW,
        volume_stats=(
            VolumeStats(time=NOW, name="v", pvc_ref=PVCReference(namespace="default", name="data"), capacity_bytes=9),
            VolumeStats(time=NOW, name="scratch", capacity_bytes=8),
        ),
        containers=(
            ContainerStats(name="app", start_time=NOW, logs=logs),
            ContainerStats(name="silent", start_time=NOW),
        ),
    )

    async def summary() -> Summary:
        return Summary(node=NodeStats(node_name="n1", start_time=NOW), pods=(pod,))

    endpoint = Metrics(ProcessMetrics(), sources={"/metrics": DiskMetrics(summary).text})
    assert [route.path for route in endpoint.routes()] == ["/metrics"]
    answer = await endpoint.own(make_mocked_request("GET", "/metrics", headers={"Accept": accept}))
    body = answer.body
    assert isinstance(body, bytes)
    assert b'\nkubelet_volume_stats_capacity_bytes{namespace="default",persistentvolumeclaim="data"} 9\n' in body
    assert b"kubelet_volume_stats_used_bytes" not in body, "what is not known is left out"
    labels = b'{container="app",namespace="default",pod="web",uid="u1"}'
    assert b"\nkubelet_container_log_filesystem_used_bytes" + labels + b" 7\n" in body
    assert body.endswith(end)
    assert b"silent" not in body


async def test_without_stats_there_is_nothing_of_logs() -> None:
    async def summary() -> Summary:
        raise Unavailable("ListPodSandboxStats")

    assert await DiskMetrics(summary).text() == b""
