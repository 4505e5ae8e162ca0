"""How the proxy is: in sync within the time it should be, on a node that may get traffic."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from nodekit.aio.clock import Clock
from pyproxy.model.address import Family


class FamilyHealth(msgspec.Struct, frozen=True, rename="camel"):
    """One family's part of the answer."""

    last_updated: datetime
    healthy: bool


class Answer(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The body of /healthz and /livez, as the genuine proxy words it: a node that is about to go may be healthy."""

    last_updated: datetime
    current_time: datetime
    healthy: bool
    node_eligible: bool | None = None
    status: dict[str, FamilyHealth] = {}

    @property
    def good(self) -> bool:
        """Whether this node may get traffic."""
        return self.healthy and self.node_eligible is not False


@dataclass(slots=True)
class _Times:
    updated: datetime | None = None
    queued: float | None = None


class Health:
    """When each family was last in sync, and since when a change waits."""

    def __init__(self, clock: Clock, *, timeout: float) -> None:
        self._clock = clock
        self._timeout = timeout
        self._times: dict[Family, _Times] = {}

    def expect(self, *families: Family) -> None:
        """These families are served, and not in sync yet."""
        for family in families:
            self._times.setdefault(family, _Times())

    def queued(self) -> None:
        """A change waits to be written."""
        for times in self._times.values():
            if times.queued is None:
                times.queued = self._clock.monotonic()

    def updated(self, family: Family) -> None:
        """A family is in sync."""
        self._times.setdefault(family, _Times()).updated = self._clock.now()
        self._times[family].queued = None

    def answer(self, eligible: bool | None = None) -> Answer:
        """How it is now; `eligible` None leaves the node out of it.

        A family that has never been in sync counts as unhealthy: nothing answers for the Services then.
        """
        now, ticks = self._clock.now(), self._clock.monotonic()
        status = {}
        for family, times in self._times.items():
            late = times.queued is not None and ticks - times.queued >= self._timeout
            healthy = times.updated is not None and not late
            status[family.api_name] = FamilyHealth(times.updated or datetime.fromtimestamp(0, now.tzinfo), healthy)
        healthy = all(one.healthy for one in status.values())
        # In good health the genuine one tells of now, as if it had just been in sync again.
        good = healthy and eligible is not False
        last = now if good else max((one.last_updated for one in status.values()), default=now)
        return Answer(last, now, healthy, eligible, status)
