"""The text of /metrics/cadvisor: samples of containers have cadvisor's labels, wherever the numbers come from."""

import datetime as dt

from prometheus_client.parser import text_string_to_metric_families

from pykubelet.model import stats
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.model.machine import Machine
from pykubelet.model.summary import ContainerStats, CPUStats, MemoryStats, NodeStats, PodReference, PodStats, Summary
from pykubelet.serve.metrics_cadvisor import ContainerMetrics

AT = dt.datetime.fromtimestamp(1000, dt.UTC)
CPU, MEMORY = CPUStats(time=AT, usage_core_nano_seconds=1_500_000_000), MemoryStats(time=AT, working_set_bytes=42)
MAIN = ContainerStats(name="main", start_time=AT, cpu=CPU, memory=MEMORY)
POD = PodStats(
    pod_ref=PodReference(name="web", namespace="default", uid="u1"),
    start_time=AT,
    containers=(MAIN,),
    cpu=CPU,
    memory=MEMORY,
)
KEYS = ("container", "id", "image", "namespace", "pod")
CALLED = {
    "container": "main",
    "id": "/pods/u1/c1",
    "image": "img:1",
    "name": "c1",
    "namespace": "default",
    "pod": "web",
}


class Runtime:
    """One container's samples, of which those of CPU and memory are not to be used."""

    async def metric_descriptors(self) -> tuple[stats.MetricDescriptor, ...]:
        names = ("container_memory_rss", "container_cpu_usage_seconds_total", "container_memory_working_set_bytes")
        return tuple(stats.MetricDescriptor(name, "help", KEYS) for name in names)

    async def sandbox_metrics(self) -> tuple[stats.SandboxMetrics, ...]:
        labels = ("main", "c1", "img:1", "default", "web")
        one = tuple(
            stats.Metric(name, 1000.0, False, labels, 7)
            for name in ("container_memory_rss", "container_cpu_usage_seconds_total", "unknown")
        )
        return (stats.SandboxMetrics(SandboxId("s1"), (), {ContainerId("c1"): one}),)


async def test_every_sample_of_a_container_has_the_labels_of_cadvisor() -> None:
    async def summary() -> Summary:
        return Summary(node=NodeStats(node_name="n1", start_time=AT, cpu=CPU), pods=(POD,))

    known = stats.Identities(
        {"c1": "/pods/u1/c1", "u1": "/pods/u1"}, {(Uid("u1"), "main"): ContainerId("c1")}, {"c1": 20000}
    )
    source = ContainerMetrics(
        Runtime(),  # type: ignore[arg-type]
        summary,
        machine=Machine(cores=4, memory=1, physical_cores=2, sockets=1),
        identities=lambda: known,
    )
    text = (await source.text()).decode()
    found = {family.name: family.samples for family in text_string_to_metric_families(text)}
    (rss,) = found["container_memory_rss"]
    assert (rss.labels, rss.value) == (CALLED, 7)
    node, pod, container = found["container_cpu_usage_seconds"]
    assert (node.labels["id"], node.labels["pod"]) == ("/", "")
    assert (pod.labels["id"], pod.labels["pod"], pod.labels["container"]) == ("/pods/u1", "web", "")
    assert (container.labels, container.value) == ({**CALLED, "cpu": "total"}, 1.5)
    assert found["container_memory_working_set_bytes"][-1].labels == CALLED
    (quota,) = found["container_spec_cpu_quota"]
    assert (quota.labels, quota.value) == (CALLED, 20000)
    assert [found[name][0].value for name in ("machine_cpu_physical_cores", "machine_cpu_sockets")] == [2, 1]
    assert found["container_scrape_error"][0].value == 0
