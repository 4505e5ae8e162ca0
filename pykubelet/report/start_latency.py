"""How long Pods take to start: from when this kubelet first heard of one to when all its containers run."""

from collections.abc import Callable

from nodekit.aio.clock import Clock
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.status import PodStatus


class StartLatency:
    """Hears every status; `seen(seconds)` since the Pod was first heard of, `created(seconds)` since it was made.

    A Pod that ran already when it was first heard of does not count.
    """

    def __init__(self, *, seen: Callable[[float], None], created: Callable[[float], None], clock: Clock) -> None:
        self._seen = seen
        self._created = created
        self._clock = clock
        self._first: dict[Uid, float] = {}
        self._done: set[Uid] = set()

    def published(self, pod: Pod, status: PodStatus) -> None:
        """A Pod is like this now."""
        uid = pod.uid
        if uid in self._done:
            return
        now = self._clock.now().timestamp()
        runs = status.phase == "Running" and all(one.state.running for one in status.container_statuses)
        if runs and uid in self._first:
            self._seen(now - self._first.pop(uid))
            if pod.metadata.creation_timestamp is not None:
                self._created(now - pod.metadata.creation_timestamp.timestamp())
        if runs or status.phase in ("Succeeded", "Failed"):
            self._first.pop(uid, None)
            self._done.add(uid)
        else:
            self._first.setdefault(uid, now)

    def forget(self, uid: Uid) -> None:
        """The Pod is gone."""
        self._first.pop(uid, None)
        self._done.discard(uid)
