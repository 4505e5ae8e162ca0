"""Decides how an event is told: as itself, counted up on an earlier one, in a summary, or not at all. No I/O.

The limits and keys are those of client-go's tools/record, so that `kubectl get events` reads like a stock node's.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, TypeVar

import msgspec

from nodekit.objects import event, times

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_REMEMBERED: Final = 4096
# So many different messages with one reason within so many seconds of each other are summed up.
_SIMILAR: Final = 10
_SIMILAR_FOR: Final = 600.0
# What one object may cause: a burst, then one event in five minutes.
_BURST: Final = 25
_REFILL: Final = 1.0 / 300.0


@dataclass(frozen=True, slots=True)
class Told:
    """What to send: the event whole, and whether it counts up one that the server has under this name."""

    event: event.Event
    again: bool
    key: Hashable


@dataclass(slots=True)
class _Similar:
    messages: set[str]
    last: datetime


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled: datetime


@dataclass(slots=True)
class _Seen:
    name: str
    count: int
    first: datetime | None


@dataclass(slots=True)
class _Recent(Generic[K, V]):
    """The entries used last, at most 4096."""

    items: OrderedDict[K, V] = field(default_factory=OrderedDict)

    def get(self, key: K) -> V | None:
        found = self.items.get(key)
        if found is not None:
            self.items.move_to_end(key)
        return found

    def put(self, key: K, value: V) -> V:
        self.items[key] = value
        self.items.move_to_end(key)
        if len(self.items) > _REMEMBERED:
            self.items.popitem(last=False)
        return value


class Correlator:
    """Remembers what was told of late."""

    def __init__(self) -> None:
        self._similar: _Recent[Hashable, _Similar] = _Recent()
        self._seen: _Recent[Hashable, _Seen] = _Recent()
        self._buckets: _Recent[Hashable, _Bucket] = _Recent()

    def tell(self, new: event.Event, *, now: datetime) -> Told | None:
        """How to tell a new event; None when its object caused too many."""
        told, key = self._sum_up(new, now)
        seen = self._seen.get(key)
        if seen is not None:
            metadata = msgspec.structs.replace(told.metadata, name=seen.name)
            told = msgspec.structs.replace(told, metadata=metadata, first_timestamp=seen.first, count=seen.count + 1)
        self._seen.put(key, _Seen(told.metadata.name, told.count, told.first_timestamp))
        if not self._accept(new, now):
            return None
        return Told(told, seen is not None, key)

    def confirm(self, told: Told, stored: event.Event) -> None:
        """The server stored it so."""
        self._seen.put(told.key, _Seen(stored.metadata.name, stored.count, stored.first_timestamp))

    def _sum_up(self, new: event.Event, now: datetime) -> tuple[event.Event, Hashable]:
        group = (_about(new), new.reason)
        similar = self._similar.get(group)
        if similar is None or (now - similar.last).total_seconds() > _SIMILAR_FOR:
            similar = self._similar.put(group, _Similar(set(), now))
        similar.messages.add(new.message)
        similar.last = now
        if len(similar.messages) < _SIMILAR:
            return new, (group, new.involved_object.field_path, new.message)
        similar.messages.pop()
        return msgspec.structs.replace(new, message=f"(combined from similar events): {new.message}"), group

    def _accept(self, new: event.Event, now: datetime) -> bool:
        about = _about(new)
        bucket = self._buckets.get(about) or self._buckets.put(about, _Bucket(_BURST, now))
        gained = (now - bucket.filled).total_seconds() * _REFILL
        bucket.tokens = min(float(_BURST), bucket.tokens + gained)
        bucket.filled = now
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True


def increment(told: Told) -> bytes:
    """The patch that counts a stored event up."""
    last = times.text(told.event.last_timestamp) if told.event.last_timestamp else None
    return msgspec.json.encode({"count": told.event.count, "lastTimestamp": last, "message": told.event.message})


def _about(new: event.Event) -> Hashable:
    about = new.involved_object
    names = (about.api_version, about.kind, about.namespace, about.name, about.uid)
    return (new.source.component, new.source.host, *names, new.type)
