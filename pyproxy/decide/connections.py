"""Add up the kernel's counters of new connections by ServicePort and by endpoint. No I/O.

The kernel's counters live as long as their elements do: they begin at zero when an endpoint moves to another slot, or
when the tables are written anew. The totals here only grow, and go with the port or the endpoint they are about.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pyproxy.decide import ruleset
from pyproxy.model.address import Family
from pyproxy.model.ports import PortName
from pyproxy.model.program import Frontend, Program
from pyproxy.model.ruleset import Counting, Set

Owned = tuple[PortName, Frontend, Program]
Counts = Mapping[Set, Mapping[bytes, int]]
"""What the elements of the counting sets have counted."""

_SERVICES = frozenset((Set.SERVICES, Set.NODE_PORTS))
_WITH_AFFINITY = frozenset((Set.AFFINITY_ENDPOINTS, Set.NODE_PORT_AFFINITY_ENDPOINTS))


class To(NamedTuple):
    """What connections went to: a ServicePort, or one endpoint of it, packed."""

    port: PortName
    endpoint: bytes = b""


class Totals:
    """How many connections each port and endpoint of one family has got since the agent began to count."""

    def __init__(self, family: Family, counting: Counting) -> None:
        self.family = family
        self.counting = counting
        self.totals: dict[To, int] = {}
        self._last: dict[tuple[Set, bytes, To], int] = {}

    def follow(self, owned: Iterable[Owned], counts: Counts) -> None:
        """Add what the counters of these frontends tell beyond the last time; an element not listed tells nothing."""
        last: dict[tuple[Set, bytes, To], int] = {}
        totals: dict[To, int] = {}
        for name, frontend, program in owned:
            for one, key, to in _counters(name, frontend, program, self.counting):
                before = self._last.get((one, key, to), 0)
                now = counts[one].get(key, before)
                more = now - before if now >= before else now
                last[one, key, to] = now
                totals[to] = totals.get(to, self.totals.get(to, 0)) + more
        self._last, self.totals = last, totals


def _counters(
    name: PortName, frontend: Frontend, program: Program, counting: Counting
) -> Iterator[tuple[Set, bytes, To]]:
    """Which elements count what of a frontend.

    A client with session affinity meets its endpoint without drawing a slot, but each of its connections is learned.
    """
    affinity = bool(frontend.affinity_seconds)
    for one, key, value in ruleset.frontend_items(frontend, program):
        if one in _SERVICES:
            yield one, key, To(name)
        elif one not in counting.sets or (one in _WITH_AFFINITY) != affinity:
            continue
        elif affinity:
            yield one, key, To(name, key[len(frontend.key) :])
        elif isinstance(value, bytes):
            yield one, key, To(name, value)
