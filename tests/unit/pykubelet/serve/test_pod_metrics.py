"""What /metrics tells of the Pods that are worked on."""

from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import conditions
from pykubelet.model.container import Container
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.status import PodCondition, PodStatus
from pykubelet.model.volume import EmptyDirSource, Volume
from pykubelet.serve import pod_metrics
from pykubelet.serve.pod_metrics import Lifecycle, Origin, Working

DIR = "kubernetes.io/empty-dir"


def working(
    lifecycle: Lifecycle = "sync",
    origin: Origin = "desired",
    *,
    static: bool = False,
    mounted: bool = True,
    ephemeral: int = 0,
    conditions: tuple[PodCondition, ...] = (),
    priority: int = 0,
) -> Working:
    spec = PodSpec(
        volumes=(Volume(name="v", empty_dir=EmptyDirSource()),),
        ephemeral_containers=tuple(Container(name=f"e{number}") for number in range(ephemeral)),
        priority=priority,
    )
    notes = {"kubernetes.io/config.source": "file"} if static else {}
    pod = Pod(metadata=ObjectMeta(name="web", annotations=notes), spec=spec)
    return Working(pod, PodStatus(conditions=conditions), lifecycle, origin, mounted)


def deferred(reason: str = "Deferred") -> PodCondition:
    return PodCondition(type=conditions.RESIZE_PENDING, status="True", reason=reason)


UNDER_WAY = PodCondition(type=conditions.RESIZE_IN_PROGRESS, status="True")


class Shown(Collector):
    def __init__(self, *pods: Working) -> None:
        self._pods = pods

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        sockets = ({"/a.sock", "/b.sock"}, {"/a.sock"})
        return pod_metrics.families(self._pods, lambda pod, volume: DIR, sockets)


@pytest.mark.parametrize(
    ("pods", "sample", "labels", "value"),
    [
        pytest.param(
            (working(), working("terminated")),
            "kubelet_working_pods",
            {"lifecycle": "sync", "config": "desired", "static": ""},
            1,
            id="one that runs, of two",
        ),
        pytest.param(
            (working("terminating", "orphan", static=True),),
            "kubelet_working_pods",
            {"lifecycle": "terminating", "config": "orphan", "static": "true"},
            1,
            id="a static Pod whose file is gone",
        ),
        pytest.param(
            (working("terminating", "runtime_only"),),
            "kubelet_working_pods",
            {"lifecycle": "terminating", "config": "runtime_only", "static": "unknown"},
            1,
            id="one that only the runtime knows",
        ),
        pytest.param(
            (),
            "kubelet_working_pods",
            {"lifecycle": "terminated", "config": "desired", "static": "true"},
            0,
            id="nothing is told as 0",
        ),
        pytest.param(
            (working(ephemeral=2), working(origin="orphan", ephemeral=1)),
            "kubelet_managed_ephemeral_containers",
            {},
            2,
            id="ephemeral containers of wanted Pods",
        ),
        pytest.param(
            (working(conditions=(deferred(),), priority=100_000), working()),
            "kubelet_pod_pending_resizes",
            {"reason": "deferred", "priority_bucket": "high"},
            1,
            id="a resize that waits",
        ),
        pytest.param(
            (working(conditions=(UNDER_WAY,)), working(conditions=(deferred(), UNDER_WAY))),
            "kubelet_pod_in_progress_resizes",
            {},
            2,
            id="resizes under way",
        ),
        pytest.param(
            (working(), working(mounted=False), working("terminating")),
            "volume_manager_total_volumes",
            {"plugin_name": DIR, "state": "actual_state_of_world"},
            2,
            id="volumes that are there, of a Pod that ends too",
        ),
        pytest.param(
            (working(), working(mounted=False), working("terminating")),
            "volume_manager_total_volumes",
            {"plugin_name": DIR, "state": "desired_state_of_world"},
            2,
            id="volumes that are wanted",
        ),
        pytest.param(
            (),
            "plugin_manager_total_plugins",
            {"socket_path": "/b.sock", "state": "desired_state_of_world"},
            1,
            id="a plugin that has not registered",
        ),
        pytest.param(
            (),
            "plugin_manager_total_plugins",
            {"socket_path": "/b.sock", "state": "actual_state_of_world"},
            None,
            id="is not told as registered",
        ),
    ],
)
def test_pods_are_told_of(pods: tuple[Working, ...], sample: str, labels: dict[str, str], value: float | None) -> None:
    registry = CollectorRegistry()
    registry.register(Shown(*pods))
    assert registry.get_sample_value(sample, labels) == value
