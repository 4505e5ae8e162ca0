"""GET /metrics/resource: CPU, memory and swap of the node, its Pods and containers.

Source: K/pkg/kubelet/metrics/collectors/resource_metrics.go; names and labels are stable there.
"""

from collections.abc import Awaitable, Callable, Mapping

from nodekit.serve import exposition
from nodekit.serve.exposition import Family
from pykubelet.cri import errors as cri_errors
from pykubelet.model.summary import CPUStats, MemoryStats, Summary, SwapStats

PATH = "/metrics/resource"
_NANO = 1e9


class ResourceMetrics:
    """The source of /metrics/resource."""

    def __init__(self, summary: Callable[[], Awaitable[Summary]]) -> None:
        self._summary = summary

    async def text(self) -> bytes:
        """The samples; when nothing could be measured, only that."""
        try:
            found = await self._summary()
        except (cri_errors.CriError, OSError):
            return exposition.text((_scrape_error(1),))
        return exposition.text((*_families(found), _scrape_error(0)))


def _families(found: Summary) -> list[Family]:
    node, pod, container = (_Level(name) for name in ("node", "pod", "container"))
    started = Family(
        "container_start_time_seconds", "gauge", "[STABLE] Start time of the container since unix epoch in seconds"
    )
    node.add({}, found.node.cpu, found.node.memory, found.node.swap)
    for one in found.pods:
        labels = {"namespace": one.pod_ref.namespace, "pod": one.pod_ref.name}
        pod.add(labels, one.cpu, one.memory, one.swap)
        for part in one.containers:
            inner = {**labels, "container": part.name}
            container.add(inner, part.cpu, part.memory, part.swap)
            if part.start_time.timestamp() > 0:
                started.add(part.start_time.timestamp(), inner)
    return [*node.families, *pod.families, *container.families, started]


class _Level:
    """The families of node, Pods or containers."""

    def __init__(self, name: str) -> None:
        self._cpu = Family(
            f"{name}_cpu_usage_seconds_total",
            "counter",
            f"[STABLE] Cumulative cpu time consumed by the {name} in core-seconds",
        )
        self._memory = Family(
            f"{name}_memory_working_set_bytes", "gauge", f"[STABLE] Current working set of the {name} in bytes"
        )
        of = "swap usage of the node" if name == "node" else f"amount of the {name} swap usage"
        self._swap = Family(
            f"{name}_swap_usage_bytes", "gauge", f"[ALPHA] Current {of} in bytes. Reported only on non-windows systems"
        )
        self._swap_limit = Family(
            f"{name}_swap_limit_bytes",
            "gauge",
            f"[ALPHA] Current amount of the {name} swap limit in bytes. Reported only on non-windows systems",
        )
        self._has_limit = name == "container"
        self.families = (self._cpu, self._memory, self._swap, self._swap_limit)

    def add(
        self, labels: Mapping[str, str], cpu: CPUStats | None, memory: MemoryStats | None, swap: SwapStats | None
    ) -> None:
        """What one of them uses."""
        if cpu is not None and cpu.usage_core_nano_seconds is not None:
            self._cpu.add(cpu.usage_core_nano_seconds / _NANO, labels, at=cpu.time.timestamp())
        if memory is not None and memory.working_set_bytes is not None:
            self._memory.add(memory.working_set_bytes, labels, at=memory.time.timestamp())
        if swap is not None and swap.swap_usage_bytes is not None:
            self._swap.add(swap.swap_usage_bytes, labels, at=swap.time.timestamp())
            if self._has_limit and swap.swap_available_bytes is not None:
                limit = swap.swap_available_bytes + swap.swap_usage_bytes
                self._swap_limit.add(limit, labels, at=swap.time.timestamp())


def _scrape_error(value: int) -> Family:
    family = Family(
        "resource_scrape_error",
        "gauge",
        "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
    )
    family.add(value)
    return family
