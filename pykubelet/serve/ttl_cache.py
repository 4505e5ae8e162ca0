"""Answers remembered for a while, the oldest forgotten first when there are too many."""

import dataclasses
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from nodekit.aio.clock import Clock

V = TypeVar("V")


@dataclasses.dataclass(frozen=True, slots=True)
class Known(Generic[V]):
    """A remembered answer, which may itself be None."""

    value: V
    until: float


class TtlCache(Generic[V]):
    def __init__(self, clock: Clock, *, size: int = 4096) -> None:
        self._clock = clock
        self._size = size
        self._known: OrderedDict[Hashable, Known[V]] = OrderedDict()

    def get(self, key: Hashable) -> Known[V] | None:
        known = self._known.get(key)
        if known is None or known.until <= self._clock.monotonic():
            self._known.pop(key, None)
            return None
        self._known.move_to_end(key)
        return known

    def put(self, key: Hashable, value: V, *, ttl: float) -> None:
        self._known[key] = Known(value=value, until=self._clock.monotonic() + ttl)
        self._known.move_to_end(key)
        while len(self._known) > self._size:
            self._known.popitem(last=False)
