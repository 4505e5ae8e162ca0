"""What /metrics tells of the Pods that are worked on, as they are at this moment.

Source: HandlePodCleanups in K/pkg/kubelet/kubelet_pods.go, K/pkg/kubelet/status/status_manager.go,
K/pkg/kubelet/volumemanager/metrics, K/pkg/kubelet/pluginmanager/metrics.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from prometheus_client import metrics_core

from pykubelet.decide import conditions, counted, critical
from pykubelet.model.pod import Pod
from pykubelet.model.status import PodStatus
from pykubelet.model.volume import Volume

Lifecycle: TypeAlias = Literal["sync", "terminating", "terminated"]
Origin: TypeAlias = Literal["desired", "orphan", "runtime_only"]

_KINDS: Final = (("desired", ""), ("desired", "true"), ("orphan", ""), ("orphan", "true"), ("runtime_only", "unknown"))
_STAGES: Final = ("sync", "terminating", "terminated")
_DESIRED, _ACTUAL = "desired_state_of_world", "actual_state_of_world"


@dataclass(frozen=True, slots=True)
class Working:
    """A Pod that is worked on: how far its life is, and who wants it. `mounted`: its volumes are ready."""

    pod: Pod
    status: PodStatus
    lifecycle: Lifecycle
    origin: Origin
    mounted: bool


def families(
    pods: Iterable[Working],
    plugin: Callable[[Pod, Volume], str],
    sockets: tuple[Collection[str], Collection[str]],
) -> Iterator[metrics_core.Metric]:
    """All families. `plugin` names what serves a volume; `sockets` of plugins: those there, those registered."""
    found = list(pods)
    yield _working(found)
    yield metrics_core.GaugeMetricFamily(
        "kubelet_managed_ephemeral_containers",
        "Current number of ephemeral containers in pods managed by this kubelet.",
        value=sum(len(one.pod.spec.ephemeral_containers) for one in found if one.origin == "desired"),
    )
    yield from _resizes(found)
    desired = Counter(
        plugin(one.pod, volume) for one in found if one.lifecycle == "sync" for volume in one.pod.spec.volumes
    )
    actual = Counter(plugin(one.pod, volume) for one in found if one.mounted for volume in one.pod.spec.volumes)
    yield _by_state(
        "volume_manager_total_volumes", "Number of volumes in Volume Manager", "plugin_name", desired, actual
    )
    there, registered = Counter(sockets[0]), Counter(sockets[1])
    yield _by_state(
        "plugin_manager_total_plugins", "Number of plugins in Plugin Manager", "socket_path", there, registered
    )


def _working(found: list[Working]) -> metrics_core.Metric:
    counts = Counter[tuple[str, str, str]]((one.lifecycle, one.origin, _static(one)) for one in found)
    family = metrics_core.GaugeMetricFamily(
        "kubelet_working_pods",
        "Number of pods the kubelet is actually running, by what their workers are at and who wants them.",
        labels=["lifecycle", "config", "static"],
    )
    for stage, (origin, static) in itertools.product(_STAGES, _KINDS):
        family.add_metric([stage, origin, static], counts[stage, origin, static])
    return family


def _static(one: Working) -> str:
    if one.origin == "runtime_only":
        return "unknown"
    return "true" if critical.is_static(one.pod) else ""


def _resizes(found: list[Working]) -> Iterator[metrics_core.Metric]:
    pending, under_way = Counter[tuple[str, str]](), 0
    for one in found:
        for condition in one.status.conditions:
            if condition.type == conditions.RESIZE_PENDING:
                pending[condition.reason.lower(), counted.priority(one.pod)] += 1
            under_way += condition.type == conditions.RESIZE_IN_PROGRESS
    family = metrics_core.GaugeMetricFamily(
        "kubelet_pod_pending_resizes",
        "Number of pending resizes for pods.",
        labels=["reason", "priority_bucket"],
    )
    for labels, count in pending.items():
        family.add_metric(labels, count)
    yield family
    yield metrics_core.GaugeMetricFamily(
        "kubelet_pod_in_progress_resizes", "Number of in-progress resizes for pods.", value=under_way
    )


def _by_state(name: str, help_: str, label: str, desired: Counter[str], actual: Counter[str]) -> metrics_core.Metric:
    family = metrics_core.GaugeMetricFamily(name, help_, labels=[label, "state"])
    for state, counts in ((_ACTUAL, actual), (_DESIRED, desired)):
        for value, count in counts.items():
            family.add_metric([value, state], count)
    return family
