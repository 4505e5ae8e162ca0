"""The only writer of a Pod's lifecycle: gathers what is so, has the next actions decided, starts them, tells the rest.

A step waits for nothing slow. What takes time runs as an operation, which wakes the worker when it has ended.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable

import msgspec

from nodekit.aio.clock import Clock
from nodekit.aio.workers import KeyedWorkers
from pykubelet.act import orphans, ports
from pykubelet.act.executor import Executor
from pykubelet.act.operations import Operations
from pykubelet.act.pod_memory import PodMemory
from pykubelet.cri import errors as cri_errors
from pykubelet.decide import backoff, backoff_events, ending, pod_actions, pod_status, preemption, references, waiting
from pykubelet.model import actions
from pykubelet.model.actions import Action
from pykubelet.model.ids import Uid
from pykubelet.model.observed import PodRuntime
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Ending, EndingCause, PodState
from pykubelet.model.status import PodStatus

STARTING = (actions.PrepareVolumes, actions.CreateSandbox, actions.EnsureImage, actions.StartContainer)
"""What makes no sense any more for a Pod that is to end."""
BLOCKED = 1.0
"""Seconds until a static Pod looks again whether its predecessor of the same name is gone."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Neighbours:
    """The other parts of the loop, as a Pod's worker sees them."""

    wanted: ports.Wanted
    seen: ports.Seen
    prober: ports.Prober
    holder: ports.Holder
    reporter: ports.Reporter
    admission: ports.Admission
    volumes: ports.Volumes
    recorder: ports.Recorder


class PodWorkers:
    """One sequential worker per UID. `context(pod, seen, previous)` gives what a status needs beside the state."""

    def __init__(
        self,
        neighbours: Neighbours,
        executor: Executor,
        *,
        context: Callable[[Pod, PodRuntime, PodStatus], pod_status.StatusContext],
        clock: Clock,
        max_restart_delay: float = 300.0,
    ) -> None:
        self._near = neighbours
        self._executor = executor
        self._context = context
        self._clock = clock
        self._max_restart_delay = max_restart_delay
        self._memories: dict[Uid, PodMemory] = {}
        self._operations = Operations(self._ended)
        self._workers: KeyedWorkers[Uid] = KeyedWorkers(self._step, name="pod")

    def wake(self, uid: Uid) -> None:
        """Something about this Pod may have changed."""
        self._workers.wake(uid)

    def content_changed(self, uid: Uid) -> None:
        """A ConfigMap or Secret that this Pod refers to has come, changed or gone."""
        memory = self._memories.get(uid)
        if memory is not None:
            memory.content_changed()
        self._workers.wake(uid)

    def wake_all(self) -> None:
        """Look at every Pod again."""
        for uid in list(self._memories):
            self._workers.wake(uid)

    def active(self) -> list[Pod]:
        """The Pods that were admitted and have not been forgotten."""
        return [
            memory.pod
            for memory in self._memories.values()
            if memory.admitted and not memory.torn_down and memory.pod.status.phase not in pod_actions.TERMINAL_PHASES
        ]

    def staying(self) -> list[Pod]:
        """Those of the active Pods that nothing has ended."""
        return [pod for pod in self.active() if self._memories[pod.uid].ending is None]

    def end(self, uid: Uid, why: Ending) -> None:
        """The node needs what the Pod has: it ends for this reason, unless it is ending already."""
        memory = self._memories.get(uid)
        if memory is not None and memory.ending is None:
            memory.end(why)
            self._workers.wake(uid)

    def known(self) -> list[Pod]:
        """Every Pod there is something to do or to tell of, with the status as last decided."""
        return [
            msgspec.structs.replace(memory.pod, status=memory.status) if memory.status else memory.pod
            for memory in self._memories.values()
        ]

    def memory(self, uid: Uid) -> PodMemory | None:
        """What is remembered of a Pod; for those who end Pods for reasons of the node."""
        return self._memories.get(uid)

    def is_over(self, uid: Uid) -> bool:
        """Whether nothing of a Pod is left, or all it held has been released."""
        memory = self._memories.get(uid)
        return memory is None or memory.torn_down

    async def run(self) -> None:
        """Work until cancelled. Containers go on without us; what was being asked of the runtime is awaited."""
        try:
            await self._workers.run()
        finally:
            await self._operations.close()

    async def _step(self, uid: Uid) -> float | None:
        try:
            seen = await self._near.seen.current(uid)
        except cri_errors.CriError as error:
            # An old picture is no ground to act on; the Pod is looked at again when the runtime answers.
            log.info("pod %s: %s", uid, error)
            return BLOCKED
        memory = self._recall(uid, seen)
        if memory is None:
            return None
        now = self._clock.now().timestamp()
        if self._is_blocked(memory):
            return BLOCKED
        self._judge(uid, memory, seen, now=now)
        if memory.ending is not None:
            self._operations.cancel(uid, STARTING)
            if memory.ending.cause is EndingCause.REJECTED and seen is None:
                memory.torn_down = True
        elif memory.admitted:
            memory.pod = memory.grants.consider(memory.asked, self._near.admission.resize)
        if memory.ending is None:
            self._near.holder.hold(uid, references.of(memory.pod))
        seen = seen or PodRuntime(uid=uid, namespace=memory.pod.metadata.namespace, name=memory.pod.metadata.name)
        memory.keep_only(container.id for container in seen.containers)
        context = self._context(memory.pod, seen, memory.status or memory.pod.status)
        address = next(iter(seen.sandboxes[0].ips), "") if seen.sandboxes else ""
        if memory.pod.spec.host_network:
            address = next(iter(context.host_ips), "")
        self._near.prober.follow(memory.pod, seen, address=address, ending=memory.ending is not None)
        state = self._state(uid, memory, seen)
        plan = pod_actions.of(state, now=now)
        for action in plan.actions:
            memory.begun(action)
            self._operations.start(uid, action, lambda action: self._executor.run(memory, action))
        renew_at = self._refresh_volumes(uid, memory, now=now)
        state = self._state(uid, memory, seen)
        status = pod_status.of(state, context, now=now)
        for held in backoff_events.of(memory.pod, memory.status, status):
            self._near.recorder.event(memory.pod, held.type, "BackOff", held.message, container=held.container)
        memory.status = status
        self._near.reporter.publish(uid, memory.pod, status, finished=plan.finished)
        if not memory.admitted and memory.ending is None:
            return BLOCKED
        times = [at for at in (plan.wake_at, renew_at, _next_words(memory, now=now)) if at is not None]
        return max(min(times) - now, 0.01) if times else None

    def _refresh_volumes(self, uid: Uid, memory: PodMemory, *, now: float) -> float | None:
        """Fill the volumes again if what they show may have changed; when that is due at the latest."""
        if not memory.volumes_ready or memory.ending is not None:
            return None
        due = self._near.volumes.renew_at(uid)
        if memory.volumes_stale or (due is not None and due <= now):
            action = actions.PrepareVolumes()
            if self._operations.start(uid, action, lambda action: self._executor.run(memory, action)):
                memory.volumes_stale = False
            return None
        return due

    def _recall(self, uid: Uid, seen: PodRuntime | None) -> PodMemory | None:
        memory = self._memories.get(uid)
        wanted = self._near.wanted.get(uid)
        if memory is None:
            if wanted is None:
                if seen is None or not (seen.sandboxes or seen.containers) or not self._near.wanted.synced:
                    self._near.seen.forget(uid)
                    return None
                log.info("pod %s/%s (%s) is not wanted here: it is removed", seen.namespace, seen.name, uid)
            assert wanted is not None or seen is not None
            pod = wanted if wanted is not None else orphans.pod_of(seen)  # type: ignore[arg-type]
            memory = self._memories[uid] = PodMemory(pod, asked=pod)
        elif wanted is not None and wanted is not memory.asked:
            # Labels and annotations may show in volumes.
            memory.volumes_stale |= wanted.metadata != memory.asked.metadata
            memory.asked, memory.pod = wanted, memory.grants.applied(wanted)
        return memory

    def _is_blocked(self, memory: PodMemory) -> bool:
        """Whether a Pod of the same name, from an older version of its file, is still there."""
        if memory.admitted or memory.ending is not None:
            return False
        pod = memory.pod
        return any(
            other.pod.key == pod.key and other.admitted and self._near.wanted.get(other_uid) is None
            for other_uid, other in self._memories.items()
            if other is not memory and "kubernetes.io/config.hash" in pod.metadata.annotations
        )

    def _judge(self, uid: Uid, memory: PodMemory, seen: PodRuntime | None, *, now: float) -> None:
        """Note whether the Pod must end, and whether it may begin."""
        if self._near.wanted.get(uid) is None:
            memory.end(ending.of_vanished(memory.ending, memory.pod, now=now))
        elif (deleted := ending.of_deletion(memory.pod, memory.ending, now=now)) is not None:
            memory.end(deleted)
        if memory.ending is None and (overdue := ending.of_deadline(memory.pod, now=now)) is not None:
            memory.end(overdue)
        if memory.admitted or memory.ending is not None:
            return
        # What runs was admitted before, by us or by another kubelet; so was what has come to its end.
        if (seen is None or not seen.containers) and memory.pod.status.phase in ("", "Pending"):
            rejection = self._near.admission.admit(memory.pod)
            if rejection is not None and self._makes_room(memory.pod, now=now):
                return
            if rejection is not None:
                self._near.recorder.event(memory.pod, "Warning", rejection.reason, rejection.message)
                log.info("pod %s is rejected: %s: %s", memory.pod.key, rejection.reason, rejection.message)
                memory.end(ending.of_rejection(rejection.reason, rejection.message, now=now))
                return
        memory.admitted = True

    def _makes_room(self, pod: Pod, *, now: float) -> bool:
        """Whether other Pods are ending so that this critical one fits; it is looked at again until they have."""
        victims = self._near.admission.room_for(pod)
        for victim in victims or ():
            log.info("pod %s ends so that pod %s fits", victim.key, pod.key)
            self._near.recorder.event(victim, "Warning", preemption.REASON, preemption.MESSAGE)
            self.end(victim.uid, preemption.ending(victim, now=now))
        return victims is not None

    def _state(self, uid: Uid, memory: PodMemory, seen: PodRuntime) -> PodState:
        return PodState(
            pod=memory.pod,
            seen=seen,
            admitted=memory.admitted,
            ending=memory.ending,
            volumes_ready=memory.volumes_ready,
            torn_down=memory.torn_down,
            under_way=self._operations.under_way(uid),
            failures=dict(memory.failures),
            images=dict(memory.images),
            image_volumes=dict(memory.image_volumes),
            probed=self._near.prober.verdicts(uid),
            backoffs=dict(memory.backoffs),
            pre_stopped=frozenset(memory.pre_stopped),
            stopped_for=dict(memory.stopped_for),
            actuated=dict(memory.grants.actuated),
            resize_pending=memory.grants.pending,
            max_restart_delay=self._max_restart_delay,
        )

    def _ended(self, uid: Uid, action: Action, error: BaseException | None) -> None:
        memory = self._memories.get(uid)
        if memory is None:
            return
        if error is None:
            memory.succeeded(action)
        elif isinstance(error, Exception) and not isinstance(error, asyncio.CancelledError):
            delay = backoff.retry_delay(action.key, memory.failures_in_a_row(action.key) + 1)
            failure = memory.failed(action, error, now=self._clock.now().timestamp(), delay=delay)
            log.warning("pod %s: %s: %s: %s", memory.pod.key, action.key, failure.reason, failure.message)
        if error is None and isinstance(action, actions.Forget):
            self._forget(uid)
            return
        self._near.seen.expire(uid)
        self._workers.wake(uid)

    def _forget(self, uid: Uid) -> None:
        del self._memories[uid]
        self._near.prober.forget(uid)
        self._near.holder.release(uid)
        self._near.reporter.forget(uid)
        self._near.seen.forget(uid)
        if self._near.wanted.get(uid) is not None:
            self._workers.wake(uid)


def _next_words(memory: PodMemory, *, now: float) -> float | None:
    """When a failed pull is next to be told of in other words (epoch seconds)."""
    changes = (
        failure.at + waiting.ERROR_SHOWN_FOR
        for failure in memory.failures.values()
        if failure.reason == waiting.PULL_ERROR and failure.at + waiting.ERROR_SHOWN_FOR > now
    )
    return min(changes, default=None)
