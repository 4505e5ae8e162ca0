"""Counts how containers end, by the statuses that tell of it. Source: K/pkg/kubelet/status/status_manager.go."""

from collections.abc import Iterable

from pykubelet import meters
from pykubelet.decide import counted
from pykubelet.model.actions import Kind
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.status import ContainerStatus, PodStatus


class Terminations:
    """Hears every status. What had ended when a Pod was first heard of, as its status in the API says, counts not."""

    def __init__(self) -> None:
        self._last: dict[Uid, PodStatus] = {}

    def published(self, pod: Pod, status: PodStatus) -> None:
        """A Pod is like this now."""
        before = self._last.get(pod.uid, pod.status)
        self._last[pod.uid] = status
        _count(Kind.INIT, before.init_container_statuses, status.init_container_statuses)
        _count(Kind.REGULAR, before.container_statuses, status.container_statuses)
        _count(Kind.EPHEMERAL, before.ephemeral_container_statuses, status.ephemeral_container_statuses)

    def forget(self, uid: Uid) -> None:
        """The Pod is gone."""
        self._last.pop(uid, None)


def _count(kind: Kind, before: Iterable[ContainerStatus], now: Iterable[ContainerStatus]) -> None:
    ended = {one.name for one in before if one.state.terminated is not None}
    for one in now:
        run = one.state.terminated
        if run is not None and one.name not in ended:
            labels = (counted.TYPES[kind], str(run.exit_code), run.reason)
            meters.terminated_containers.labels(*labels).inc()
