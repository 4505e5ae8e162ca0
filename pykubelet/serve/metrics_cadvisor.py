"""GET /metrics/cadvisor: the container runtime's own metrics of sandboxes and containers, and the machine's.

Source: K/pkg/kubelet/metrics/collectors/cri_metrics.go, and cadvisor's names for the machine.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from nodekit.serve import exposition
from nodekit.serve.exposition import Family
from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.model import stats
from pykubelet.model.ids import ContainerId, Uid
from pykubelet.model.machine import Machine
from pykubelet.model.summary import CPUStats, MemoryStats, Summary

PATH = "/metrics/cadvisor"
_CPU = "container_cpu_usage_seconds_total"
_MEMORY = "container_memory_working_set_bytes"
_QUOTA = "container_spec_cpu_quota"
_NANO = 1e9
_NOBODY = {"container": "", "image": "", "name": "", "namespace": "", "pod": ""}


class ContainerMetrics:
    """The source of /metrics/cadvisor. `identities()` tell what is what in the last summary.

    Every sample of a container has the labels cadvisor gives it: `id` is its cgroup, `name` the runtime's id. Raises
    CriError when the runtime does not answer.
    """

    def __init__(
        self,
        runtime: runtime_api.UsageCalls,
        summary: Callable[[], Awaitable[Summary]],
        *,
        machine: Machine,
        identities: Callable[[], stats.Identities],
    ) -> None:
        self._runtime = runtime
        self._summary = summary
        self._machine = machine
        self._identities = identities
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
        images: dict[str, str] = {}
        known = self._identities()
        for sandbox in sandboxes:
            for metrics in (sandbox.metrics, *sandbox.containers.values()):
                self._add(families, images, metrics, known.cgroups)
        _add_measured(families, found, known, images)
        return exposition.text((*families.values(), *_machine(self._machine), *_errors()))

    def _add(
        self,
        families: dict[str, Family],
        images: dict[str, str],
        metrics: Iterable[stats.Metric],
        cgroups: Mapping[str, str],
    ) -> None:
        for metric in metrics:
            descriptor = (self._descriptors or {}).get(metric.name)
            # CPU and memory come from the statistics: here the one is in whole seconds, the other lacks the Pods'.
            if descriptor is None or metric.name in (_CPU, _MEMORY, _QUOTA):
                continue
            kind = "counter" if metric.counter else "gauge"
            family = families.setdefault(metric.name, Family(metric.name, kind, descriptor.help))
            labels = dict(zip(descriptor.label_keys, metric.labels, strict=False))
            name = labels.get("id", "")
            images[name] = labels.get("image", "")
            family.add(metric.value, {**labels, "id": cgroups.get(name, name), "name": name}, at=metric.at or None)


def _add_measured(
    families: dict[str, Family], found: Summary, known: stats.Identities, images: Mapping[str, str]
) -> None:
    cpu = families.setdefault(_CPU, Family(_CPU, "counter", "Cumulative cpu time consumed in seconds."))
    quota = families.setdefault(_QUOTA, Family(_QUOTA, "gauge", "CPU quota of the container."))
    memory = families.setdefault(_MEMORY, Family(_MEMORY, "gauge", "Current working set in bytes."))

    def add(of: str, labels: Mapping[str, str], used: CPUStats | None, held: MemoryStats | None) -> None:
        if used is not None:
            seconds = (used.usage_core_nano_seconds or 0) / _NANO
            cpu.add(seconds, {**labels, "cpu": "total"}, at=used.time.timestamp())
        if held is not None:
            memory.add(held.working_set_bytes or 0, labels, at=held.time.timestamp())
        if of in known.cpu_quotas:
            quota.add(known.cpu_quotas[of], labels)

    add("", {**_NOBODY, "id": "/"}, found.node.cpu, found.node.memory)
    for pod in found.pods:
        mine = {**_NOBODY, "namespace": pod.pod_ref.namespace, "pod": pod.pod_ref.name}
        uid = pod.pod_ref.uid
        add(uid, {**mine, "id": known.cgroups.get(uid, "")}, pod.cpu, pod.memory)
        for one in pod.containers:
            id_ = known.containers.get((Uid(uid), one.name), ContainerId(""))
            named = {"id": known.cgroups.get(id_, id_), "name": id_, "image": images.get(id_, "")}
            add(id_, {**mine, **named, "container": one.name}, one.cpu, one.memory)


def _machine(machine: Machine) -> Iterable[Family]:
    labels = {"boot_id": machine.boot_id, "machine_id": machine.machine_id, "system_uuid": machine.system_uuid}
    for name, help_, value in (
        ("machine_cpu_cores", "Number of logical CPU cores.", machine.cores),
        ("machine_cpu_physical_cores", "Number of physical CPU cores.", machine.physical_cores),
        ("machine_cpu_sockets", "Number of CPU sockets.", machine.sockets),
        ("machine_memory_bytes", "Amount of memory installed on the machine.", machine.memory),
        ("machine_swap_bytes", "Amount of swap memory available on the machine.", machine.swap),
    ):
        family = Family(name, "gauge", help_)
        family.add(value, labels)
        yield family


def _errors() -> Iterable[Family]:
    for of in ("container", "machine"):
        family = Family(
            f"{of}_scrape_error", "gauge", f"1 if there was an error while getting {of} metrics, 0 otherwise"
        )
        family.add(0)
        yield family
