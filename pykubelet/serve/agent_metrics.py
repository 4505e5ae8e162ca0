"""What /metrics tells of the agent itself, under the genuine kubelet's names; and /metrics/probes.

Source: K/pkg/kubelet/metrics/metrics.go, K/pkg/kubelet/prober/prober_manager.go.
"""

import platform
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import metrics_core
from prometheus_client.registry import Collector

from nodekit.serve import exposition
from nodekit.serve.exposition import Family
from pykubelet.cri import meter
from pykubelet.model import observed
from pykubelet.model.pod import Pod
from pykubelet.model.volume import Volume
from pykubelet.serve import pod_metrics
from pykubelet.serve.pod_metrics import Working

PROBES: Final = "/metrics/probes"
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_SOURCE: Final = "kubernetes.io/config.source"
_WORDS: Final = re.compile(r"(?<!^)(?=[A-Z])")
_OPERATIONS: Final = {
    "PodSandboxStatus": "podsandbox_status",
    "ListPodSandbox": "list_podsandbox",
    "RunPodSandbox": "run_podsandbox",
    "StopPodSandbox": "stop_podsandbox",
    "RemovePodSandbox": "remove_podsandbox",
    "ListPodSandboxStats": "list_podsandbox_stats",
    "ExecSync": "exec_sync",
}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the numbers come from, asked at each scrape."""

    node_name: str
    version: str
    cgroup_version: int
    desired: Callable[[], Iterable[Pod]]
    active: Callable[[], Iterable[Pod]]
    mirrors: Callable[[], Iterable[Pod]]
    runtime: Callable[[], Iterable[observed.PodRuntime]]
    working: Callable[[], Iterable[Working]]
    plugin: Callable[[Pod, Volume], str]
    sockets: Callable[[], tuple[Collection[str], Collection[str]]]


class AgentMetrics(Collector):
    """Register it with the process's registry."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> Iterable[metrics_core.Metric]:
        """Nothing to check beforehand: the names are ours alone."""
        return ()

    def collect(self) -> Iterator[metrics_core.Metric]:
        """All families as they are now."""
        sources = self._sources
        yield _gauge("kubelet_node_name", "The node's name. The count is always 1.", {sources.node_name: 1}, "node")
        yield _gauge("kubelet_cgroup_version", "cgroup version on the hosts.", {"": sources.cgroup_version})
        yield _gauge("kubelet_metrics_provider", "Where container stats come from.", {"cri": 1}, "provider")
        yield _by_source(
            "kubelet_desired_pods", "The number of pods the kubelet is being instructed to run.", sources.desired()
        )
        yield _by_source(
            "kubelet_active_pods", "The number of pods that are considered when admitting new pods.", sources.active()
        )
        yield _gauge("kubelet_mirror_pods", "The number of mirror pods.", {"": len(list(sources.mirrors()))})
        yield _build(sources.version)
        yield from self._running()
        yield from pod_metrics.families(sources.working(), sources.plugin, sources.sockets())
        yield from _operations()

    def _running(self) -> Iterator[metrics_core.Metric]:
        pods, containers = 0, Counter[str]()
        for pod in self._sources.runtime():
            pods += any(sandbox.state is observed.SandboxState.READY for sandbox in pod.sandboxes)
            containers.update(container.state.value.lower() for container in pod.containers)
        yield _gauge("kubelet_running_pods", "Number of pods that have a running pod sandbox", {"": pods})
        yield _gauge(
            "kubelet_running_containers", "Number of containers currently running", containers, "container_state"
        )


class ProbeMetrics:
    """The source of /metrics/probes. `counts()` is how many answers there were, by what they are counted under;
    `took()` how many good ones there were of each probe and how many seconds they took."""

    def __init__(
        self,
        counts: Callable[[], Mapping[tuple[str, str, str, str, str, bool], int]],
        took: Callable[[], Mapping[tuple[str, str, str, str, str], tuple[int, float]]],
    ) -> None:
        self._counts = counts
        self._took = took

    async def text(self) -> bytes:
        """The samples."""
        help_ = "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result."
        family = Family("prober_probe_total", "counter", help_)
        for (namespace, pod, uid, container, kind, ok), count in self._counts().items():
            labels = {
                "container": container,
                "namespace": namespace,
                "pod": pod,
                "pod_uid": uid,
                "probe_type": kind,
                "result": "successful" if ok else "failed",
            }
            family.add(count, labels)
        return exposition.text((family,)) + self._durations()

    def _durations(self) -> bytes:
        """A histogram with no bucket but the last, as the genuine kubelet's is."""
        name = "prober_probe_duration_seconds"
        lines = [f"# HELP {name} [ALPHA] Duration in seconds for a probe response.", f"# TYPE {name} histogram"]
        for (namespace, pod, _, container, kind), (count, seconds) in self._took().items():
            labels = f'container="{container}",namespace="{namespace}",pod="{pod}",probe_type="{kind}"'
            lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {count}')
            lines += [f"{name}_sum{{{labels}}} {seconds!r}", f"{name}_count{{{labels}}} {count}"]
        return "".join(f"{line}\n" for line in lines).encode() if len(lines) > 2 else b""


def _build(version: str) -> metrics_core.Metric:
    """What runs here; of the labels about Go's toolchain those that have a counterpart."""
    major, minor, *_ = version.removeprefix("v").split(".")
    told = {
        "build_date": "",
        "compiler": platform.python_implementation().lower(),
        "git_commit": "",
        "git_tree_state": "",
        "git_version": version,
        "go_version": f"python{platform.python_version()}",
        "major": major,
        "minor": minor,
        "platform": f"linux/{_MACHINES.get(platform.machine(), platform.machine())}",
    }
    family = metrics_core.GaugeMetricFamily("kubernetes_build_info", "What was built, and of what.", labels=[*told])
    family.add_metric([*told.values()], 1)
    return family


def operation(rpc: str) -> str:
    """The genuine kubelet's word for a call: `run_podsandbox`, `create_container`."""
    return _OPERATIONS.get(rpc) or _WORDS.sub("_", rpc).lower()


def _operations() -> Iterator[metrics_core.Metric]:
    name = "kubelet_runtime_operations"
    calls = metrics_core.CounterMetricFamily(
        name, "Cumulative number of runtime operations by operation type.", labels=["operation_type"]
    )
    errors = metrics_core.CounterMetricFamily(
        f"{name}_errors", "Cumulative number of runtime operation errors by operation type.", labels=["operation_type"]
    )
    took = metrics_core.HistogramMetricFamily(
        f"{name}_duration_seconds", "Duration in seconds of runtime operations.", labels=["operation_type"]
    )
    for rpc, tally in list(meter.tallies.items()):
        labels = [operation(rpc)]
        calls.add_metric(labels, tally.calls)
        if tally.errors:
            errors.add_metric(labels, tally.errors)
        took.add_metric(labels, _buckets(tally), tally.seconds)
    yield from (calls, errors, took)


def _buckets(tally: meter.Tally) -> list[tuple[str, float]]:
    found, total = [], 0
    for bound, count in zip((*(f"{bound!r}" for bound in meter.BUCKETS), "+Inf"), tally.took, strict=True):
        total += count
        found.append((bound, float(total)))
    return found


def _by_source(name: str, help_: str, pods: Iterable[Pod]) -> metrics_core.Metric:
    counts = Counter("" if pod.metadata.annotations.get(_SOURCE, "api") == "api" else "true" for pod in pods)
    return _gauge(name, help_, {"": counts[""], "true": counts["true"]}, "static")


def _gauge(name: str, help_: str, values: Mapping[str, float], label: str = "") -> metrics_core.Metric:
    family = metrics_core.GaugeMetricFamily(name, help_, labels=[label] if label else [])
    for value, number in values.items():
        family.add_metric([value] if label else [], number)
    return family
