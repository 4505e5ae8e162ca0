"""The text of /metrics/resource."""

import datetime as dt

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nodekit.serve import exposition
from nodekit.serve.exposition import Family
from pykubelet.cri import errors as cri_errors
from pykubelet.model.summary import CPUStats, MemoryStats, NodeStats, PodReference, PodStats, Summary
from pykubelet.serve.metrics_resource import ResourceMetrics

AT = dt.datetime.fromtimestamp(1000, dt.UTC)
POD = PodStats(
    pod_ref=PodReference(name="web", namespace="default", uid="u1"),
    start_time=AT,
    containers=(),
    cpu=CPUStats(time=AT, usage_core_nano_seconds=1_500_000_000),
    memory=MemoryStats(time=AT, working_set_bytes=42),
)


async def test_what_is_known_is_told_with_its_time() -> None:
    async def summary() -> Summary:
        return Summary(node=NodeStats(node_name="n1", start_time=AT), pods=(POD,))

    families = {f.name: f for f in text_string_to_metric_families((await ResourceMetrics(summary).text()).decode())}
    assert set(families) == {"pod_cpu_usage_seconds", "pod_memory_working_set_bytes", "resource_scrape_error"}
    sample = families["pod_cpu_usage_seconds"].samples[0]
    assert (sample.labels, sample.value) == ({"namespace": "default", "pod": "web"}, 1.5)
    assert sample.timestamp is not None
    assert float(sample.timestamp) == 1000.0


async def test_a_runtime_that_does_not_answer_is_told_of() -> None:
    async def summary() -> Summary:
        raise cri_errors.Unavailable("ListPodSandboxStats", detail="gone")

    assert b"resource_scrape_error 1\n" in await ResourceMetrics(summary).text()


@pytest.mark.parametrize(
    ("value", "line"),
    [
        pytest.param('a"b', 'x{l="a\\"b"} 1', id="a quote is escaped"),
        pytest.param("a\nb", 'x{l="a\\nb"} 1', id="so is the end of a line"),
    ],
)
def test_labels_are_escaped(value: str, line: str) -> None:
    family = Family("x", "gauge", "help")
    family.add(1, {"l": value})
    assert exposition.text((family,)).decode().splitlines()[-1] == line
