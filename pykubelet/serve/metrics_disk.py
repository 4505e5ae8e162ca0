"""What containers' logs and the volumes of claims take on disks, as /metrics tells it.

Source: K/pkg/kubelet/metrics/collectors/log_metrics.go and volume_stats.go.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from nodekit.serve import exposition
from nodekit.serve.exposition import Family
from pykubelet.cri import errors as cri_errors
from pykubelet.model.summary import PodStats, Summary, VolumeStats

_LOGS: Final = "kubelet_container_log_filesystem_used_bytes"
_VOLUMES: Final[dict[str, tuple[str, Callable[[VolumeStats], int | None]]]] = {
    "kubelet_volume_stats_capacity_bytes": ("Capacity in bytes of the volume", lambda one: one.capacity_bytes),
    "kubelet_volume_stats_available_bytes": (
        "Number of available bytes in the volume",
        lambda one: one.available_bytes,
    ),
    "kubelet_volume_stats_used_bytes": ("Number of used bytes in the volume", lambda one: one.used_bytes),
    "kubelet_volume_stats_inodes": ("Maximum number of inodes in the volume", lambda one: one.inodes),
    "kubelet_volume_stats_inodes_free": ("Number of free inodes in the volume", lambda one: one.inodes_free),
    "kubelet_volume_stats_inodes_used": ("Number of used inodes in the volume", lambda one: one.inodes_used),
}

log = logging.getLogger(__name__)


class DiskMetrics:
    """A source of `/metrics`. `summary` is asked at each scrape; without an answer there are no samples."""

    def __init__(self, summary: Callable[[], Awaitable[Summary]]) -> None:
        self._summary = summary

    async def text(self) -> bytes:
        """The samples."""
        try:
            found = await self._summary()
        except (cri_errors.CriError, OSError) as error:
            log.warning("what logs and volumes take is not known: %s", error)
            return b""
        return exposition.text((_logs(found.pods), *_volumes(found.pods)))


def _logs(pods: tuple[PodStats, ...]) -> Family:
    family = Family(_LOGS, "gauge", "Bytes used by the container's logs on the filesystem.")
    for pod in pods:
        for container in pod.containers:
            if container.logs is not None and container.logs.used_bytes is not None:
                whose = {"uid": pod.pod_ref.uid, "namespace": pod.pod_ref.namespace, "pod": pod.pod_ref.name}
                family.add(container.logs.used_bytes, {**whose, "container": container.name})
    return family


def _volumes(pods: tuple[PodStats, ...]) -> Iterator[Family]:
    # Pods may share a claim: it is told of once.
    by_claim = {
        (one.pvc_ref.namespace, one.pvc_ref.name): one for pod in pods for one in pod.volume_stats if one.pvc_ref
    }
    for name, (help_, amount) in _VOLUMES.items():
        family = Family(name, "gauge", help_)
        for (namespace, claim), one in by_claim.items():
            if (value := amount(one)) is not None:
                family.add(value, {"namespace": namespace, "persistentvolumeclaim": claim})
        yield family
