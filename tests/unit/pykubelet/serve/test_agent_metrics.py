"""The agent's own metrics have the genuine kubelet's names."""

import pytest
from prometheus_client import CollectorRegistry

from nodekit.objects.meta import ObjectMeta
from pykubelet.cri import meter
from pykubelet.model.ids import SandboxId, Uid
from pykubelet.model.observed import PodRuntime, Sandbox, SandboxState
from pykubelet.model.pod import Pod
from pykubelet.serve import agent_metrics
from pykubelet.serve.agent_metrics import AgentMetrics, ProbeMetrics, Sources


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
                cgroup_version=2,
                desired=lambda: [Pod(), static],
                active=lambda: [Pod()],
                mirrors=list,
                runtime=lambda: [PodRuntime(uid, "default", "web", sandboxes=(sandbox,))],
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
