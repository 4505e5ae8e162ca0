"""Counts the calls this process makes to the runtime, and how long they took; whoever shows metrics reads it."""

import bisect
import dataclasses
import itertools
import operator
from typing import Final

BUCKETS: Final = tuple(itertools.accumulate([0.005] + [2.5] * 13, operator.mul))
"""Upper bounds in seconds. Source: prometheus.ExponentialBuckets(.005, 2.5, 14) in K/pkg/kubelet/metrics."""


@dataclasses.dataclass(slots=True)
class Tally:
    """Of one RPC: calls, failed ones, seconds in all, and how many took how long (the last: longer than any bound)."""

    calls: int = 0
    errors: int = 0
    seconds: float = 0.0
    took: list[int] = dataclasses.field(default_factory=lambda: [0] * (len(BUCKETS) + 1))

    def add(self, seconds: float, *, failed: bool) -> None:
        """One more call."""
        self.calls += 1
        self.errors += failed
        self.seconds += seconds
        self.took[bisect.bisect_left(BUCKETS, seconds)] += 1


tallies: Final[dict[str, Tally]] = {}
"""By the RPC's name: `RunPodSandbox`."""


def add(rpc: str, seconds: float, *, failed: bool) -> None:
    """One more call of that RPC."""
    tally = tallies.get(rpc)
    if tally is None:
        tally = tallies[rpc] = Tally()
    tally.add(seconds, failed=failed)
