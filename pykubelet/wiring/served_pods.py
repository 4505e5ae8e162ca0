"""The Pods of this node as the serving side shows them: by name, in words, as numbers."""

from collections.abc import Iterator

from pykubelet.act.pod_memory import PodMemory
from pykubelet.act.pod_worker import PodWorkers
from pykubelet.desired.merge import Desired
from pykubelet.model.pod import Pod
from pykubelet.serve.pod_metrics import Lifecycle, Working


class ServedPods:
    """What the workers know of their Pods, and whether anybody wants these."""

    def __init__(self, workers: PodWorkers, desired: Desired) -> None:
        self._workers = workers
        self._desired = desired

    def by_name(self, namespace: str, name: str) -> Pod | None:
        """The Pod of that name; of two, the one that is not about to end."""
        found = [pod for pod in self._workers.memories.known() if pod.key == (namespace, name)]
        return min(found, key=lambda pod: pod.metadata.deletion_timestamp is not None, default=None)

    def explain(self, namespace: str, name: str) -> tuple[str, ...] | None:
        """What the Pod of that name waits for, in sentences; None if it is not on this node."""
        pod = self.by_name(namespace, name)
        return self._workers.explain(pod.uid) if pod is not None else None

    def all(self) -> list[Pod]:
        """Every Pod of this node."""
        return self._workers.memories.known()

    def working(self) -> Iterator[Working]:
        """What each Pod's worker is at."""
        for uid in self._workers.memories:
            memory = self._workers.memories.get(uid)
            if memory is not None:
                wanted = self._desired.get(uid) is not None
                yield Working(
                    pod=memory.pod,
                    status=memory.status or memory.pod.status,
                    lifecycle=_lifecycle(memory),
                    origin="runtime_only" if memory.orphaned else "desired" if wanted else "orphan",
                    mounted=memory.volumes_ready,
                )


def _lifecycle(memory: PodMemory) -> Lifecycle:
    if memory.torn_down:
        return "terminated"
    return "sync" if memory.ending is None else "terminating"
