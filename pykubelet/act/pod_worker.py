"""The only writer of a Pod's lifecycle: gathers what is so, has the next actions decided, starts them, tells the rest.

A step waits for nothing slow. What takes time runs as an operation, which wakes the worker when it has ended.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable

from nodekit.aio.clock import Clock
from nodekit.aio.workers import KeyedWorkers
from pykubelet import meters
from pykubelet.act import ports
from pykubelet.act.executor import Executor
from pykubelet.act.memories import Memories
from pykubelet.act.operations import Operations
from pykubelet.act.pod_memory import PodMemory
from pykubelet.cri import errors as cri_errors
from pykubelet.decide import (
    backoff,
    backoff_events,
    critical,
    explain,
    outcomes,
    pod_actions,
    pod_status,
    references,
    resize_events,
    waiting,
)
from pykubelet.decide.admission import Rejected
from pykubelet.model import actions
from pykubelet.model.actions import Action
from pykubelet.model.ids import Uid
from pykubelet.model.observed import PodRuntime
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import EndingCause, PodState
from pykubelet.model.status import PodStatus

STARTING = (
    actions.AssignDevices,
    actions.PrepareVolumes,
    actions.CreateSandbox,
    actions.EnsureImage,
    actions.StartContainer,
)
"""What makes no sense any more for a Pod that is to end."""
EQUIPPING = (actions.PrepareVolumes, actions.EnsureImage)
"""What a Pod needs beside its sandbox before a container can start."""
PATIENCE = 1.0
"""Seconds that a step waits at most for an operation that is about to ask for one itself."""
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
    devices: ports.Devices
    recorder: ports.Recorder


class PodWorkers:
    """One sequential worker per UID; `memories` is what they remember.

    `context(pod, seen, previous)` gives what a status needs beside the Pod's state.
    """

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
        self.memories = Memories(neighbours.wanted, wake=self.wake)
        self._operations = Operations(self._ended)
        self._workers: KeyedWorkers[Uid] = KeyedWorkers(self._timed, name="pod")
        self._heard: dict[Uid, float] = {}

    def wake(self, uid: Uid) -> None:
        """Something about this Pod may have changed."""
        if self.memories.get(uid) is None:
            self._heard.setdefault(uid, self._clock.monotonic())
        self._workers.wake(uid)

    def began(self, uid: Uid) -> None:
        """Something of this Pod was made or has started: nothing is to be done until whoever did that has ended."""
        self._workers.wake(uid, after=self._patience(uid, (actions.CreateSandbox, actions.StartContainer)))

    def content_changed(self, uid: Uid) -> None:
        """A ConfigMap or Secret that this Pod refers to has come, changed or gone."""
        memory = self.memories.get(uid)
        if memory is not None:
            memory.content_changed()
        self._workers.wake(uid)

    def explain(self, uid: Uid) -> tuple[str, ...] | None:
        """What a Pod waits for, in sentences; None if nothing is known of it."""
        memory = self.memories.get(uid)
        if memory is None:
            return None
        seen = self._near.seen.get(uid) or PodRuntime(uid, memory.pod.metadata.namespace, memory.pod.metadata.name)
        state = self._state(uid, memory, seen)
        took = self._operations.durations(uid)
        return explain.of(state, memory.status or memory.pod.status, took=took, now=self._clock.now().timestamp())

    async def run(self) -> None:
        """Work until cancelled. Containers go on without us; what was being asked of the runtime is awaited."""
        try:
            await self._workers.run()
        finally:
            await self._operations.close()

    async def _timed(self, uid: Uid) -> float | None:
        before, began = self.memories.get(uid), self._clock.monotonic()
        asked = before.asked if before is not None else None
        heard = self._heard.pop(uid, began)
        again = await self._step(uid)
        memory = self.memories.get(uid)
        if memory is not None:
            if before is None and not memory.orphaned:
                meters.pod_worker_start.observe(began - heard)
            meters.pod_worker.labels(_operation(memory, asked)).observe(self._clock.monotonic() - began)
        return again

    async def _step(self, uid: Uid) -> float | None:
        try:
            seen = await self._near.seen.current(uid)
        except cri_errors.CriError as error:
            # An old picture is no ground to act on; the Pod is looked at again when the runtime answers.
            log.info("pod %s: %s", uid, error)
            return BLOCKED
        memory = self.memories.recall(uid, seen)
        if memory is None:
            self._near.seen.forget(uid)
            return None
        now = self._clock.now().timestamp()
        if self.memories.is_blocked(memory):
            return BLOCKED
        self.memories.judge(memory, seen, (self._near.admission, self._near.recorder), now=now)
        if memory.ending is not None:
            self._operations.cancel(uid, STARTING)
            if memory.ending.cause is EndingCause.REJECTED and seen is None:
                memory.torn_down = True
        elif memory.admitted:
            memory.pod = memory.grants.consider(memory.asked, self._near.admission.resize, seen)
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
        self._tell(memory, status)
        memory.status = status
        self._near.reporter.publish(uid, memory.pod, status, finished=plan.finished)
        if not memory.admitted and memory.ending is None:
            return BLOCKED
        times = [at for at in (plan.wake_at, renew_at, _next_words(memory, now=now)) if at is not None]
        return max(min(times) - now, 0.01) if times else None

    def _tell(self, memory: PodMemory, status: PodStatus) -> None:
        """Have people told what is new in this status."""
        pod, recorder = memory.pod, self._near.recorder
        for held in backoff_events.of(pod, memory.status, status):
            recorder.event(pod, held.type, held.reason, held.message, container=held.container)
        if memory.admitted and memory.ending is None:
            before, newly = memory.status or pod.status, memory.grants.newly
            for one in resize_events.of(memory.asked, pod, before, status, newly=newly):
                recorder.event(pod, one.type, one.reason, one.message)

    def _refresh_volumes(self, uid: Uid, memory: PodMemory, *, now: float) -> float | None:
        """Fill the volumes again if what they show may have changed; when that is due at the latest."""
        if not memory.volumes_ready or memory.ending is not None:
            return None
        due = self._near.volumes.renew_at(uid)
        if memory.volumes_stale or (due is not None and due <= now):
            self._operations.start(uid, actions.PrepareVolumes(), lambda action: self._executor.run(memory, action))
            return None
        return due

    def _state(self, uid: Uid, memory: PodMemory, seen: PodRuntime) -> PodState:
        return PodState(
            pod=memory.pod,
            seen=seen,
            admitted=memory.admitted,
            ending=memory.ending,
            devices_ready=self._near.devices.is_ready(memory.pod),
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
        memory = self.memories.get(uid)
        if memory is None:
            return
        if error is None:
            memory.succeeded(action)
        elif isinstance(error, Exception) and not isinstance(error, asyncio.CancelledError):
            delay = backoff.retry_delay(action.key, memory.failures_in_a_row(action.key) + 1)
            now = self._clock.now().timestamp()
            failure = memory.failed(action, error, now=now, delay=delay)
            log.warning("pod %s: %s: %s: %s", memory.pod.key, action.key, failure.reason, failure.message)
            seen = self._near.seen.get(uid)
            if isinstance(action, actions.AssignDevices) and not (seen and seen.containers):
                # Its controller makes another, which the scheduler may put where there are devices.
                refusal = Rejected(failure.reason, failure.message)
                self.memories.reject(memory, refusal, self._near.recorder, now=now)
        if error is None and isinstance(action, actions.Forget):
            self._forget(uid)
            return
        if error is not None or not outcomes.are_shown(action, self._near.seen.get(uid)):
            self._near.seen.expire(uid)
        equipped = error is None and isinstance(action, EQUIPPING)
        self._workers.wake(uid, after=self._patience(uid, (actions.CreateSandbox,)) if equipped else 0.0)

    def _patience(self, uid: Uid, kinds: tuple[type[Action], ...]) -> float:
        """How long a step can wait as an operation of these kinds will ask for one; 0.0 if none is under way."""
        awaited = any(isinstance(action, kinds) for action in self._operations.under_way(uid).values())
        return PATIENCE if awaited else 0.0

    def _forget(self, uid: Uid) -> None:
        self.memories.drop(uid)
        self._near.prober.forget(uid)
        self._near.holder.release(uid)
        self._near.reporter.forget(uid)
        self._near.seen.forget(uid)
        if (again := self._near.wanted.get(uid)) is not None:
            meters.restarted_pods.labels("true" if critical.is_static(again) else "").inc()
            self._workers.wake(uid)


def _operation(memory: PodMemory, asked: Pod | None) -> str:
    """What a step was, as the genuine kubelet counts it."""
    if memory.torn_down:
        return "terminated"
    if memory.ending is not None:
        return "kill"
    if asked is None:
        return "create"
    return "update" if memory.asked is not asked else "sync"


def _next_words(memory: PodMemory, *, now: float) -> float | None:
    """When a failed pull is next to be told of in other words (epoch seconds)."""
    changes = (
        failure.at + waiting.ERROR_SHOWN_FOR
        for failure in memory.failures.values()
        if failure.reason == waiting.PULL_ERROR and failure.at + waiting.ERROR_SHOWN_FOR > now
    )
    return min(changes, default=None)
