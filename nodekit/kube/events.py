"""Records events for people to read. Never blocks or fails its caller; what cannot be sent is dropped and logged."""

import asyncio
import logging
import random
import re
import uuid
from typing import Final

from nodekit.aio.clock import Clock
from nodekit.kube import correlate, errors
from nodekit.kube.client import Client, Patch, PatchKind
from nodekit.objects import event, meta, times

log = logging.getLogger(__name__)

# As client-go does: queued at most, tried at most, and the seconds between.
_QUEUED: Final = 1000
_TRIES: Final = 12
_PAUSE: Final = 10.0
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class Recorder:
    """Events of one component on one machine, sent in order while `run` runs."""

    def __init__(self, client: Client, *, component: str, host: str, clock: Clock) -> None:
        self._client = client
        self._source = event.EventSource(component=component, host=host)
        self._clock = clock
        self._queue: asyncio.Queue[event.Event] = asyncio.Queue(_QUEUED)
        self._correlator = correlate.Correlator()
        self._dropped = 0

    def normal(self, about: meta.ObjectReference, reason: str, *, message: str) -> None:
        """Something happened as it should."""
        self._record(about, reason, message=message, kind="Normal")

    def warning(self, about: meta.ObjectReference, reason: str, *, message: str) -> None:
        """Something happened that a person may want to look into."""
        self._record(about, reason, message=message, kind="Warning")

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            new = await self._queue.get()
            try:
                told = self._correlator.tell(new, now=self._clock.now())
                if told is not None:
                    await self._deliver(told)
            except Exception:
                log.exception("an event is dropped: %s %s", new.reason, new.message)
            finally:
                self._queue.task_done()

    async def flush(self) -> None:
        """Wait until what was recorded so far is sent or dropped."""
        await self._queue.join()

    def _record(self, about: meta.ObjectReference, reason: str, *, message: str, kind: str) -> None:
        now = self._clock.now()
        name = f"{about.name}.{int(now.timestamp() * 1e9):x}"
        if len(name) > 253 or not _NAME.fullmatch(name):
            name = str(uuid.uuid4())
        new = event.Event(
            metadata=meta.ObjectMeta(name=name, namespace=about.namespace or "default"),
            involved_object=about,
            reason=reason,
            message=message,
            type=kind,
            count=1,
            first_timestamp=times.whole(now),
            last_timestamp=times.whole(now),
            source=self._source,
            reporting_component=self._source.component,
            reporting_instance=self._source.host,
        )
        try:
            self._queue.put_nowait(new)
        except asyncio.QueueFull:
            self._dropped += 1
            if self._dropped % 100 == 1:
                log.warning("events are dropped, %d so far: more than %d wait to be sent", self._dropped, _QUEUED)

    async def _deliver(self, told: correlate.Told) -> None:
        for attempt in range(_TRIES):
            try:
                self._correlator.confirm(told, await self._send(told))
                return
            except errors.AlreadyExists:
                return
            except errors.ApiError as error:
                if not error.transient:
                    log.log(_weight(error), "the server refused an event, which is dropped: %s", error)
                    return
                log.info("an event could not be sent, %d tries left: %s", _TRIES - attempt - 1, error)
            # The first pause is random so that nodes do not come back all at once after an outage.
            await self._clock.sleep(_PAUSE if attempt else _PAUSE * random.random())
        log.warning("an event is dropped after %d tries: %s %s", _TRIES, told.event.reason, told.event.message)

    async def _send(self, told: correlate.Told) -> event.Event:
        if told.again:
            try:
                patch = Patch(PatchKind.STRATEGIC, correlate.increment(told))
                return await self._client.patch(event.EVENTS, told.event.key, patch)
            except errors.NotFound:
                pass  # events live an hour: this one is told anew, with its count
        return await self._client.create(event.EVENTS, told.event)


def _weight(refusal: errors.ApiError) -> int:
    """How loud a refusal is: that a namespace goes before the last is told of its Pods is the way of things."""
    expected = isinstance(refusal, errors.NotFound) or (
        isinstance(refusal, errors.Forbidden) and refusal.namespace_ends
    )
    return logging.DEBUG if expected else logging.WARNING
