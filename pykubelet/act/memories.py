"""What is remembered of all Pods: which there are, which of them count, and why any of them must end."""

import logging
from collections.abc import Callable, Iterator

import msgspec

from pykubelet import meters
from pykubelet.act import orphans, ports
from pykubelet.act.pod_memory import PodMemory
from pykubelet.decide import counted, critical, ending, pod_actions, preemption, qos, resize
from pykubelet.decide.admission import Rejected, Shortage
from pykubelet.model.ids import Uid
from pykubelet.model.observed import PodRuntime
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Ending, EndingCause

log = logging.getLogger(__name__)


class Memories:
    """By UID. `wake(uid)` is called for a Pod that something else here has ended."""

    def __init__(self, wanted: ports.Wanted, *, wake: Callable[[Uid], None]) -> None:
        self._wanted = wanted
        self._wake = wake
        self._pods: dict[Uid, PodMemory] = {}

    def __iter__(self) -> Iterator[Uid]:
        return iter(list(self._pods))

    def get(self, uid: Uid) -> PodMemory | None:
        """What is remembered of one Pod."""
        return self._pods.get(uid)

    def drop(self, uid: Uid) -> None:
        """The Pod is over and done with."""
        del self._pods[uid]

    def recall(self, uid: Uid, seen: PodRuntime | None) -> PodMemory | None:
        """What is remembered of a Pod, with what is wanted now; begun if it is new. None if there is nothing to do."""
        memory = self._pods.get(uid)
        wanted = self._wanted.get(uid)
        if memory is not None:
            if wanted is not None and wanted is not memory.asked:
                memory.volumes_stale |= _shown(wanted) != _shown(memory.asked)
                for change in resize.requested(memory.asked, wanted):
                    meters.requested_resizes.labels(*change).inc()
                memory.asked, memory.pod = wanted, memory.grants.applied(wanted)
            return memory
        orphaned = wanted is None
        if wanted is None:
            if seen is None or not (seen.sandboxes or seen.containers) or not self._wanted.synced:
                return None
            log.info("pod %s/%s (%s) is not wanted here: it is removed", seen.namespace, seen.name, uid)
            wanted = orphans.pod_of(seen)
            meters.orphaned_runtime_pods.inc()
        else:
            meters.containers_per_pod.observe(len(wanted.spec.containers))
        memory = self._pods[uid] = PodMemory(wanted, asked=wanted, orphaned=orphaned)
        return memory

    def active(self) -> list[Pod]:
        """The Pods that were admitted and still hold something of the node."""
        return [
            memory.pod
            for memory in self._pods.values()
            if memory.admitted and not memory.torn_down and _phase(memory) not in pod_actions.TERMINAL_PHASES
        ]

    def staying(self) -> list[Pod]:
        """Those of the active Pods that nothing has ended."""
        return [pod for pod in self.active() if self._pods[pod.uid].ending is None]

    def known(self) -> list[Pod]:
        """Every Pod there is something to do or to tell of, with the status as last decided."""
        return [
            msgspec.structs.replace(memory.pod, status=memory.status) if memory.status else memory.pod
            for memory in self._pods.values()
        ]

    def end(self, uid: Uid, why: Ending) -> None:
        """The node needs what the Pod has: it ends for this reason; one that ends already may only end sooner."""
        memory = self._pods.get(uid)
        if memory is not None and memory.end(why):
            self._wake(uid)

    def ends_at(self, uid: Uid) -> float | None:
        """When a Pod that ends is killed at the latest (epoch seconds); None if nothing has ended it."""
        memory = self._pods.get(uid)
        return memory.ending.kill_at if memory is not None and memory.ending is not None else None

    def is_over(self, uid: Uid) -> bool:
        """Whether nothing of a Pod is left, or all it held has been released."""
        memory = self._pods.get(uid)
        return memory is None or memory.torn_down

    def is_blocked(self, memory: PodMemory) -> bool:
        """Whether a Pod of the same name, from an older version of its file, is still there."""
        pod = memory.pod
        if memory.admitted or memory.ending is not None or not critical.is_static(pod):
            return False
        return any(
            other is not memory and other.pod.key == pod.key and other.admitted and self._wanted.get(uid) is None
            for uid, other in self._pods.items()
        )

    def judge(
        self, memory: PodMemory, seen: PodRuntime | None, near: tuple[ports.Admission, ports.Recorder], *, now: float
    ) -> None:
        """Note whether the Pod must end, and whether it may begin (`now` in epoch seconds)."""
        admission, recorder = near
        pod = memory.pod
        if self._wanted.get(pod.uid) is None:
            memory.end(ending.of_vanished(memory.ending, pod, now=now))
        elif (deleted := ending.of_deletion(pod, memory.ending, now=now)) is not None:
            memory.end(deleted)
        if memory.ending is None and (overdue := ending.of_deadline(pod, now=now)) is not None:
            memory.end(overdue)
        if memory.ending is not None and memory.ending.cause is not EndingCause.REJECTED and seen and seen.containers:
            # An agent before this one let it in: until it has ended it holds what it was given.
            memory.admitted = True
        if memory.admitted or memory.ending is not None:
            return
        # What runs was admitted before, by us or by another kubelet; so was what has come to its end.
        if (seen is None or not seen.containers) and pod.status.phase in ("", "Pending"):
            rejection = admission.admit(pod)
            if rejection is not None and self._makes_room(pod, rejection, near, now=now):
                return
            if rejection is not None:
                self.reject(memory, rejection, recorder, now=now)
                return
        meters.admissions.labels(counted.configured(pod), qos.of(pod).lower()).inc()
        memory.admitted = True

    def reject(self, memory: PodMemory, why: Rejected, recorder: ports.Recorder, *, now: float) -> None:
        """The Pod cannot run on this node: it has failed, and nothing of it is made."""
        if memory.ending is None:
            meters.admission_rejections.labels(counted.rejection(why.reason)).inc()
            recorder.event(memory.pod, "Warning", why.reason, why.message)
            log.info("pod %s is rejected: %s: %s", memory.pod.key, why.reason, why.message)
            memory.end(ending.of_rejection(why.reason, why.message, now=now))

    def _makes_room(self, pod: Pod, why: Rejected, near: tuple[ports.Admission, ports.Recorder], *, now: float) -> bool:
        """Whether other Pods are ending so that this critical one fits; it is looked at again until they have."""
        admission, recorder = near
        victims = admission.room_for(pod)
        for victim in victims or ():
            log.info("pod %s ends so that pod %s fits", victim.key, pod.key)
            recorder.event(victim, "Warning", preemption.REASON, preemption.MESSAGE)
            meters.preemptions.labels(why.resource if isinstance(why, Shortage) else "").inc()
            self.end(victim.uid, preemption.ending(victim, now=now))
        return victims is not None


def _shown(pod: Pod) -> tuple[object, ...]:
    """What volumes may show of a Pod that can change while it runs; its resources are part of the generation."""
    return pod.metadata.labels, pod.metadata.annotations, pod.metadata.generation


def _phase(memory: PodMemory) -> str:
    return (memory.status or memory.pod.status).phase
