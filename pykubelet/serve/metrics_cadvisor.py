"""GET /metrics/cadvisor: the container runtime's own metrics of sandboxes and containers, and the machine's.

Source: K/pkg/kubelet/metrics/collectors/cri_metrics.go, and cadvisor's names for the machine.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from nodekit.serve import exposition
from nodekit.serve.exposition import Family
from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.model import stats
from pykubelet.model.machine import Machine
from pykubelet.model.summary import Summary

PATH = "/metrics/cadvisor"
_CPU = "container_cpu_usage_seconds_total"
_NANO = 1e9


class ContainerMetrics:
    """The source of /metrics/cadvisor. Raises CriError when the runtime does not answer."""

    def __init__(
        self, runtime: runtime_api.UsageCalls, summary: Callable[[], Awaitable[Summary]], *, machine: Machine
    ) -> None:
        self._runtime = runtime
        self._summary = summary
        self._machine = machine
        self._descriptors: Mapping[str, stats.MetricDescriptor] | None = None

    async def text(self) -> bytes:
        """The samples. A runtime without metrics of its own leaves those of CPU and memory, from its statistics."""
        found = await self._summary()
        try:
            if self._descriptors is None:
                self._descriptors = {one.name: one for one in await self._runtime.metric_descriptors()}
            sandboxes = await self._runtime.sandbox_metrics()
        except cri_errors.Unimplemented:
            sandboxes = ()
        families: dict[str, Family] = {}
        for sandbox in sandboxes:
            for metrics in (sandbox.metrics, *sandbox.containers.values()):
                self._add(families, metrics)
        _add_measured(families, found)
        return exposition.text((*families.values(), *_machine(self._machine)))

    def _add(self, families: dict[str, Family], metrics: Iterable[stats.Metric]) -> None:
        for metric in metrics:
            descriptor = (self._descriptors or {}).get(metric.name)
            # CPU comes from the statistics: here it is in whole seconds.
            if descriptor is None or metric.name == _CPU:
                continue
            kind = "counter" if metric.counter else "gauge"
            family = families.setdefault(metric.name, Family(metric.name, kind, descriptor.help))
            labels = dict(zip(descriptor.label_keys, metric.labels, strict=False))
            family.add(metric.value, labels, at=metric.at or None)


def _add_measured(families: dict[str, Family], found: Summary) -> None:
    cpu = families.setdefault(_CPU, Family(_CPU, "counter", "Cumulative cpu time consumed in seconds."))
    name = "container_memory_working_set_bytes"
    known = name in families
    memory = families.setdefault(name, Family(name, "gauge", "Current working set in bytes."))
    node = found.node
    everything = {"container": "", "cpu": "total", "id": "/", "image": "", "name": "", "namespace": "", "pod": ""}
    if node.cpu is not None:
        cpu.add((node.cpu.usage_core_nano_seconds or 0) / _NANO, everything, at=node.cpu.time.timestamp())
    if node.memory is not None:
        del everything["cpu"]
        memory.add(node.memory.working_set_bytes or 0, everything, at=node.memory.time.timestamp())
    for pod in found.pods:
        for container in pod.containers:
            labels = {"container": container.name, "namespace": pod.pod_ref.namespace, "pod": pod.pod_ref.name}
            if container.cpu is not None:
                used = (container.cpu.usage_core_nano_seconds or 0) / _NANO
                cpu.add(used, {**labels, "cpu": "total"}, at=container.cpu.time.timestamp())
            if container.memory is not None and not known:
                memory.add(container.memory.working_set_bytes or 0, labels, at=container.memory.time.timestamp())


def _machine(machine: Machine) -> Iterable[Family]:
    labels = {"boot_id": machine.boot_id, "machine_id": machine.machine_id, "system_uuid": machine.system_uuid}
    for name, help_, value in (
        ("machine_cpu_cores", "Number of logical CPU cores.", machine.cores),
        ("machine_memory_bytes", "Amount of memory installed on the machine.", machine.memory),
        ("machine_swap_bytes", "Amount of swap memory available on the machine.", machine.swap),
    ):
        family = Family(name, "gauge", help_)
        family.add(value, labels)
        yield family
