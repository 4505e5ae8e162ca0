"""New connections by Service and by endpoint, as metrics that are read from the kernel when somebody asks for them."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from pyproxy import errors
from pyproxy.decide.connections import Counts, Owned, To, Totals
from pyproxy.model import address as addresses
from pyproxy.model import keys
from pyproxy.model.address import Family
from pyproxy.model.ruleset import Counting, Set

log = logging.getLogger(__name__)

MOST_SERIES: Final = 10_000
OTHERS: Final = "(others)"
_LABELS: Final = ("namespace", "service", "port", "protocol", "ip_family")


class Reader(Protocol):
    """What reads the counters: nf_tables, or a fake."""

    def counts(self, family: Family, one: Set) -> dict[bytes, int]:
        """What each element of a set has counted; raises RulesetError."""
        ...


class Connections(Collector):
    """Two metrics, with at most `most` series each: what is beyond them is added up in one series of `(others)`."""

    def __init__(
        self,
        reader: Reader,
        counting: Counting,
        *,
        owned: Mapping[Family, Callable[[], list[Owned]]],
        most: int = MOST_SERIES,
    ) -> None:
        self._reader = reader
        self._owned = owned
        self._most = most
        self._totals = [Totals(family, counting) for family in owned]
        self._turn = asyncio.Lock()

    async def read(self) -> None:
        """Ask the kernel how many there were. It takes some 20 us an element, in a thread."""
        async with self._turn:
            for totals in self._totals:
                owned = self._owned[totals.family]()
                try:
                    await asyncio.to_thread(self._follow, totals, owned)
                except (errors.RulesetError, OSError) as error:
                    log.warning("connections of %s are not counted this time: %s", totals.family.api_name, error)

    def _follow(self, totals: Totals, owned: list[Owned]) -> None:
        counts: Counts = {one: self._reader.counts(totals.family, one) for one in totals.counting.sets}
        totals.follow(owned, counts)

    def collect(self) -> Iterable[Metric]:
        """The metrics as they were at the last `read`."""
        services = CounterMetricFamily(
            "pyproxy_service_connections", "New connections to a Service on this node, refused ones too", labels=_LABELS
        )
        endpoints = CounterMetricFamily(
            "pyproxy_endpoint_connections",
            "New connections from this node to an endpoint of a Service",
            labels=(*_LABELS, "endpoint"),
        )
        for labels, value in self._bounded(to_endpoints=False):
            services.add_metric(labels, value)
        for labels, value in self._bounded(to_endpoints=True):
            endpoints.add_metric(labels, value)
        return services, endpoints

    def _bounded(self, *, to_endpoints: bool) -> Iterator[tuple[list[str], int]]:
        left, others, beyond = self._most, 0, 0
        for totals in self._totals:
            for to, value in totals.totals.items():
                if bool(to.endpoint) != to_endpoints:
                    continue
                if left:
                    left -= 1
                    yield _labels(to, totals.family), value
                else:
                    others, beyond = others + value, beyond + 1
        if beyond:
            yield [OTHERS] * (len(_LABELS) + to_endpoints), others


def _labels(to: To, family: Family) -> list[str]:
    port = to.port
    labels = [port.service.namespace, port.service.name, port.port, port.protocol.name, family.api_name]
    return [*labels, addresses.with_port(*keys.read_endpoint(to.endpoint))] if to.endpoint else labels
