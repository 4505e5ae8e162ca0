"""The only writer of Pods' status in the API: the latest wins, one request at a time per Pod, no reads.

News that is of no use before what follows it at once is held back for a moment (decide.urgency).

Each status is patched onto what the API is known to have (the watch, or the answer to the last patch, whichever is
newer). The UID goes along, so that a Pod made anew under the same name is never written to.
"""

import contextlib
import dataclasses
import logging
import random
from collections.abc import Callable
from typing import Final

import msgspec

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import Clock
from nodekit.aio.workers import KeyedWorkers
from nodekit.kube import errors, patch
from nodekit.kube.client import Client
from nodekit.objects import status as api_status
from pykubelet.decide import phase, status_merge, urgency
from pykubelet.model.ids import Uid
from pykubelet.model.kinds import PODS
from pykubelet.model.pod import Pod
from pykubelet.model.status import PodStatus
from pykubelet.report import ports
from pykubelet.report.mirror import Mirrors, is_static

_BACKOFF: Final = Backoff(base=0.2, cap=10.0, jitter=0.5)
_NO_MIRROR_YET: Final = 1.0
"""Seconds until a static Pod's mirror is looked for again."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class _Entry:
    """One Pod: what is to be told of it, what the API was `sent` last, and what it answered (`stored`)."""

    pod: Pod
    status: PodStatus
    finished: bool
    stored: Pod | None = None
    sent: PodStatus | None = None
    gone: bool = False
    failures: int = 0
    retry_at: float = 0.0
    since: float = 0.0
    """When the oldest status that the API has not been told of was published; 0.0 if it knows all."""


class Reporter:
    """Tells the API what became of each Pod, and deletes the object of one that is deleted and finished.

    `on_publish` hears of each status that is new, `on_delivered` of the seconds from there until the API had it,
    `on_forget` of Pods that are gone.
    """

    def __init__(self, client: Client, pods: ports.ApiPods, mirrors: Mirrors, *, clock: Clock) -> None:
        self._client = client
        self._pods = pods
        self._mirrors = mirrors
        self._clock = clock
        self.on_publish: list[Callable[[Pod, PodStatus], None]] = []
        self.on_forget: list[Callable[[Uid], None]] = []
        self.on_delivered: list[Callable[[float], None]] = []
        self._entries: dict[Uid, _Entry] = {}
        self._workers: KeyedWorkers[Uid] = KeyedWorkers(self._send, name="pod status", backoff=_BACKOFF)

    def publish(self, uid: Uid, pod: Pod, status: PodStatus, *, finished: bool) -> None:
        """This is how the Pod is now. `finished`: nothing of it is left, so that its object may go. Never blocks."""
        entry, after = self._entries.get(uid), 0.0
        if entry is None:
            entry = self._entries[uid] = _Entry(pod, status, finished)
            # A static Pod's mirror is to be made, which is news.
            if not is_static(pod) and urgency.only_begins(pod.status, status):
                after = urgency.PATIENCE
        elif entry.pod is pod and entry.status == status and entry.finished == finished and not is_static(pod):
            return
        elif not finished and urgency.can_wait(pod, entry.status, status):
            after = urgency.PATIENCE
        # Once finished it stays so, but a static Pod is finished only while its file says nothing else.
        entry.finished = finished or (entry.finished and not is_static(pod))
        entry.pod, entry.status = pod, status
        entry.since = entry.since or self._clock.monotonic()
        for tell in self.on_publish:
            tell(pod, status)
        self._workers.wake(uid, after=after)

    def wrote(self, before: Pod | None, pod: Pod) -> bool:
        """Whether our last patch made this state of a Pod from the one `before`: what it tells is known."""
        entry = self._entries.get(pod.uid)
        if entry is None:
            return False
        if entry.stored is not None and entry.stored.metadata.resource_version == pod.metadata.resource_version:
            return True
        # The watch is often faster than the answer.
        return before is not None and pod.status == entry.sent and _with_status_of(before, pod) == pod

    def last(self, uid: Uid) -> PodStatus | None:
        """What was last published of a Pod."""
        entry = self._entries.get(uid)
        return entry.status if entry else None

    def forget(self, uid: Uid) -> None:
        """Nothing more will be told of this Pod."""
        self._entries.pop(uid, None)
        self._mirrors.release(uid)
        for tell in self.on_forget:
            tell(uid)

    async def settled(self) -> None:
        """Wait until nothing is being told any more."""
        await self._workers.settled()

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._workers.run()

    async def _send(self, uid: Uid) -> float | None:
        entry = self._entries.get(uid)
        if entry is None or entry.gone:
            return None
        wait = entry.retry_at - self._clock.monotonic()
        if wait > 0:
            return wait
        try:
            again = await self._deliver(entry)
        except errors.ApiError as error:
            return self._failed(entry, error)
        entry.failures = 0
        if entry.since:
            took, entry.since = self._clock.monotonic() - entry.since, 0.0
            for tell in self.on_delivered:
                tell(took)
        return again

    async def _deliver(self, entry: _Entry) -> float | None:
        static = is_static(entry.pod)
        if static:
            target = await self._mirrors.target(entry.pod, finished=entry.finished)
        else:
            target = self._pods.get(entry.pod.key) if self._pods.synced else entry.pod
            if target is None or target.uid != entry.pod.uid:
                # The watch has told that it is gone, perhaps replaced: there is nobody left to tell.
                entry.gone = True
                return None
        if target is None:
            return None if entry.finished else _NO_MIRROR_YET
        target = _newer(target, entry.stored)
        wanted = status_merge.of(entry.pod, entry.status, target.status)
        change = patch.strategic(Pod(status=target.status), Pod(status=wanted), uid=target.uid)
        if change is not None:
            entry.sent = wanted
            try:
                target = await self._client.patch(PODS, target.key, change, subresource="status")
            except (errors.NotFound, errors.Invalid) as error:
                if not _is_gone(error):
                    raise
                # Gone, or made anew under another UID: a mirror is looked up again, any other Pod is done with.
                entry.gone = not static
                entry.stored = None
                return _NO_MIRROR_YET if static else None
            entry.stored = target
        if _may_be_deleted(entry, target) and not static:
            await self._delete(entry, target)
        return None

    async def _delete(self, entry: _Entry, target: Pod) -> None:
        options = api_status.DeleteOptions(
            grace_period_seconds=0, preconditions=api_status.Preconditions(uid=target.uid)
        )
        # Somebody may have been faster.
        with contextlib.suppress(errors.NotFound, errors.Conflict):
            await self._client.delete(PODS, target.key, options)
        entry.gone = True

    def _failed(self, entry: _Entry, error: errors.ApiError) -> float:
        entry.failures += 1
        entry.stored = None
        delay = max(_BACKOFF.delay(entry.failures, random=random.random), error.retry_after or 0.0)
        level = logging.INFO if error.transient else logging.WARNING
        log.log(level, "status of pod %s is told again in %.1fs: %s", entry.pod.key, delay, error)
        entry.retry_at = self._clock.monotonic() + delay
        return delay


def _may_be_deleted(entry: _Entry, target: Pod) -> bool:
    """Whether only the object is left of a Pod that somebody deleted, and the API knows how it ended."""
    deleted = target.metadata.deletion_timestamp is not None or entry.pod.metadata.deletion_timestamp is not None
    return entry.finished and deleted and target.status.phase in phase.TERMINAL


def _newer(pod: Pod, stored: Pod | None) -> Pod:
    """The later of two states of one object: resource versions of a kind are numbers that grow (KEP-5504)."""
    if stored is None or stored.uid != pod.uid:
        return pod
    return stored if _version(stored) > _version(pod) else pod


def _with_status_of(before: Pod, pod: Pod) -> Pod:
    """The state before with the status, and so the version, of another."""
    metadata = msgspec.structs.replace(before.metadata, resource_version=pod.metadata.resource_version)
    return msgspec.structs.replace(before, metadata=metadata, status=pod.status)


def _version(pod: Pod) -> int:
    version = pod.metadata.resource_version
    return int(version) if version.isdecimal() else 0


def _is_gone(error: errors.ApiError) -> bool:
    if isinstance(error, errors.NotFound):
        return True
    causes = error.details.causes if error.details is not None else ()
    return any(cause.field == "metadata.uid" for cause in causes)
