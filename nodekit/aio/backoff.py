"""How long to wait after the n-th failure. No clock: times and randomness are arguments."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential: `base`, `base * factor`, ... up to `cap` seconds, lengthened by up to `jitter` of itself."""

    base: float
    cap: float
    factor: float = 2.0
    jitter: float = 0.0

    def delay(self, failures: int, *, random: Callable[[], float] | None = None) -> float:
        """Seconds to wait after that many failures in a row (1 is the first); `random` gives numbers in [0, 1)."""
        # The exponent is bounded so that a long row of failures cannot overflow a float.
        plain = min(self.cap, self.base * self.factor ** min(max(failures - 1, 0), 60))
        return plain * (1.0 + self.jitter * random()) if random is not None and self.jitter else plain


@dataclass(slots=True)
class _Entry:
    failures: int
    ready_at: float


class BackoffTable(Generic[K]):
    """Failures per key. A key that has not failed for twice the cap starts anew."""

    def __init__(self, backoff: Backoff, *, random: Callable[[], float] | None = None) -> None:
        self._backoff = backoff
        self._random = random
        self._entries: dict[K, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def failed(self, key: K, *, now: float) -> float:
        """Note a failure at monotonic time `now`; the seconds to wait."""
        entry = self._entries.get(key)
        if entry is None or now - entry.ready_at > 2 * self._backoff.cap:
            entry = self._entries[key] = _Entry(0, now)
        entry.failures += 1
        delay = self._backoff.delay(entry.failures, random=self._random)
        entry.ready_at = now + delay
        return delay

    def ready_in(self, key: K, *, now: float) -> float:
        """Seconds until the key may be tried again; 0.0 when it may be now."""
        entry = self._entries.get(key)
        return max(0.0, entry.ready_at - now) if entry else 0.0

    def failures(self, key: K) -> int:
        """Failures in a row so far."""
        entry = self._entries.get(key)
        return entry.failures if entry else 0

    def forget(self, key: K) -> None:
        """The key succeeded, or is gone."""
        self._entries.pop(key, None)
