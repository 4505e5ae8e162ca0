"""What requests are counted under."""

import pytest

from nodekit.metrics import Metrics
from pykubelet.serve import traffic


@pytest.mark.parametrize(
    ("path", "bucket"),
    [
        pytest.param("/exec/ns/pod/c", "exec", id="its first part"),
        pytest.param("/metrics/cadvisor", "metrics/cadvisor", id="two parts of metrics"),
        pytest.param("/metrics/nothing", "other", id="no endpoint of metrics"),
        pytest.param("/", "other", id="the top"),
        pytest.param("/whatever/a", "other", id="what nobody knows makes no series of its own"),
    ],
)
def test_a_path_is_counted_under_its_top(path: str, bucket: str) -> None:
    assert traffic.bucket(path) == bucket


def test_requests_are_counted_while_and_after_they_are_served() -> None:
    metrics = Metrics()
    counts = traffic.Traffic(metrics)
    labels = {"method": "other", "path": "exec", "server_type": "readwrite", "long_running": "true"}
    with counts.request("BREW", "/exec/a/b/c", guarded=True):
        assert metrics.registry.get_sample_value("kubelet_http_inflight_requests", labels) == 1
    assert metrics.registry.get_sample_value("kubelet_http_inflight_requests", labels) == 0
    assert metrics.registry.get_sample_value("kubelet_http_requests_total", labels) == 1
