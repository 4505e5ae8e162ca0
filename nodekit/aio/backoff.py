"""How long to wait after the n-th failure. No clock: times and randomness are arguments."""

from collections.abc import Callable
from dataclasses import dataclass


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
