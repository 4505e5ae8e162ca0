"""How long Pods take to start: from when this kubelet first heard of one to when all its containers run.

Source: K/pkg/kubelet/util/pod_startup_latency_tracker.go.
"""

from collections.abc import Iterable
from typing import Protocol

from nodekit.aio.clock import Clock
from pykubelet import meters
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.status import PodStatus


class Listener(Protocol):
    """Who hears how long a start took, in seconds."""

    def seen(self, seconds: float) -> None:
        """Since this kubelet first heard of the Pod."""

    def created(self, seconds: float) -> None:
        """Since the Pod was made."""

    def without_pulls(self, seconds: float, *, network: bool) -> None:
        """Since it was made, less the pulls of its images and the runs of its init containers.

        Pods without a network of their own have `network` False; those with lasting volumes are not told of.
        """


class StartLatency:
    """Hears every status. A Pod that ran already when it was first heard of does not count."""

    def __init__(self, listener: Listener, *, clock: Clock) -> None:
        self._listener = listener
        self._clock = clock
        self._first: dict[Uid, float] = {}
        self._pulls: dict[Uid, list[tuple[float, float]]] = {}
        self._done: set[Uid] = set()

    def pulled(self, uid: Uid, began: float, ended: float) -> None:
        """A Pod has waited for an image between these moments."""
        if uid not in self._done:
            self._pulls.setdefault(uid, []).append((began, ended))

    def published(self, pod: Pod, status: PodStatus) -> None:
        """A Pod is like this now."""
        uid = pod.uid
        if uid in self._done:
            return
        now = self._clock.now().timestamp()
        runs = status.phase == "Running" and all(one.state.running for one in status.container_statuses)
        if runs and uid in self._first:
            self._listener.seen(now - self._first.pop(uid))
            if pod.metadata.creation_timestamp is not None:
                self._created(pod, status, now - pod.metadata.creation_timestamp.timestamp())
        if runs or status.phase in ("Succeeded", "Failed"):
            self._first.pop(uid, None)
            self._pulls.pop(uid, None)
            self._done.add(uid)
        else:
            self._first.setdefault(uid, now)

    def forget(self, uid: Uid) -> None:
        """The Pod is gone."""
        self._first.pop(uid, None)
        self._pulls.pop(uid, None)
        self._done.discard(uid)

    def _created(self, pod: Pod, status: PodStatus, took: float) -> None:
        self._listener.created(took)
        if not _has_lasting_volumes(pod):
            rest = took - covered(self._pulls.get(pod.uid, ())) - _of_init_containers(status)
            self._listener.without_pulls(max(rest, 0.0), network=not pod.spec.host_network)


class MeteredStarts:
    """Tells the process's metrics."""

    def __init__(self) -> None:
        self._network_seen = False

    def seen(self, seconds: float) -> None:
        meters.pod_start.observe(seconds)

    def created(self, seconds: float) -> None:
        meters.pod_start_total.observe(seconds)

    def without_pulls(self, seconds: float, *, network: bool) -> None:
        meters.pod_start_sli.observe(seconds)
        if network and not self._network_seen:
            self._network_seen = True
            meters.first_network_pod_start.set(seconds)


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """How much time these spans cover together."""
    total, until = 0.0, float("-inf")
    for began, ended in sorted(spans):
        total += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return total


def _of_init_containers(status: PodStatus) -> float:
    runs = (one.state.terminated for one in status.init_container_statuses)
    return sum(
        (run.finished_at - run.started_at).total_seconds()
        for run in runs
        if run is not None and run.started_at is not None and run.finished_at is not None
    )


def _has_lasting_volumes(pod: Pod) -> bool:
    return any(
        not (volume.secret or volume.config_map or volume.downward_api or volume.empty_dir or volume.projected)
        for volume in pod.spec.volumes
    )
