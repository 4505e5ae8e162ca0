"""The proxy's metrics, under the names dashboards and alerts know."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

from nodekit.objects.meta import Key
from pyproxy.model.address import Family
from pyproxy.model.iptables import Table
from pyproxy.model.options import Mode

_SYNC_BUCKETS: Final = tuple(0.001 * 2**n for n in range(15))
_PROGRAMMING_BUCKETS: Final = (
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    *range(1, 60),
    *range(60, 121, 5),
    *range(150, 301, 30),
)


class Metrics:
    """All of them, in a registry of their own."""

    def __init__(self, mode: Mode = Mode.NFTABLES) -> None:
        self._mode = mode
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        family = ("ip_family",)

        def gauge(name: str, text: str, labels: tuple[str, ...] = family) -> Gauge:
            return Gauge(f"kubeproxy_{name}", text, labels, registry=registry)

        def counter(name: str, text: str, labels: tuple[str, ...] = family) -> Counter:
            return Counter(f"kubeproxy_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...] = _SYNC_BUCKETS) -> Histogram:
            return Histogram(f"kubeproxy_{name}", text, family, buckets=buckets, registry=registry)

        self.sync = histogram("sync_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds")
        self.full_sync = histogram("sync_full_proxy_rules_duration_seconds", "SyncProxyRules latency of full resyncs")
        self.partial_sync = histogram(
            "sync_partial_proxy_rules_duration_seconds", "SyncProxyRules latency of partial resyncs"
        )
        self.programming = histogram(
            "network_programming_duration_seconds",
            "In Cluster Network Programming Latency in seconds",
            _PROGRAMMING_BUCKETS,
        )
        self.last_sync = gauge("sync_proxy_rules_last_timestamp_seconds", "The last time proxy rules were synced")
        self.last_queued = gauge(
            "sync_proxy_rules_last_queued_timestamp_seconds", "The last time a sync of proxy rules was queued"
        )
        self.no_local_endpoints = gauge(
            "sync_proxy_rules_no_local_endpoints_total",
            "Number of services with a Local traffic policy and no endpoints",
            ("traffic_policy", "ip_family"),
        )
        self._pending_services: set[Key] = set()
        self._pending_endpoints: set[Key] = set()
        gauge("sync_proxy_rules_endpoint_changes_pending", "Pending proxy rules Endpoint changes", ()).set_function(
            lambda: len(self._pending_endpoints)
        )
        self.endpoints_changed = counter(
            "sync_proxy_rules_endpoint_changes_total", "Cumulative proxy rules Endpoint changes", ()
        )
        gauge("sync_proxy_rules_service_changes_pending", "Pending proxy rules Service changes", ()).set_function(
            lambda: len(self._pending_services)
        )
        self.services_changed = counter(
            "sync_proxy_rules_service_changes_total", "Cumulative proxy rules Service changes", ()
        )
        if mode is Mode.IPTABLES:
            self.failures = counter(
                "sync_proxy_rules_iptables_restore_failures_total", "Cumulative proxy iptables restore failures"
            )
            self.partial_failures = counter(
                "sync_proxy_rules_iptables_partial_restore_failures_total",
                "Cumulative proxy iptables partial restore failures",
            )
            table = ("table", "ip_family")
            self.rules = gauge("sync_proxy_rules_iptables_total", "Number of iptables rules of kube-proxy", table)
            self.rules_last = gauge("sync_proxy_rules_iptables_last", "Number of rules written in the last sync", table)
        else:
            self.failures = counter(
                "sync_proxy_rules_nftables_sync_failures_total", "Cumulative proxy nftables sync failures"
            )
            self.cleanup_failures = counter(
                "sync_proxy_rules_nftables_cleanup_failures_total", "Cumulative proxy nftables cleanup failures"
            )
        self.healthz = counter("proxy_healthz_total", "Cumulative proxy healthz HTTP status", ("code",))
        self.livez = counter("proxy_livez_total", "Cumulative proxy livez HTTP status", ("code",))
        self.conntrack_sync = histogram(
            "conntrack_reconciler_sync_duration_seconds", "Latency of conntrack reconciling"
        )
        self.conntrack_deleted = counter(
            "conntrack_reconciler_deleted_entries_total", "Entries deleted by conntrack reconciler"
        )
        self._started = time.time()

    def watch_policies(self, family: str, count: Callable[[], tuple[int, int]]) -> None:
        """Ask `count` at each scrape how many frontends drop for want of a local endpoint: internal, external."""
        self.no_local_endpoints.labels("internal", family).set_function(lambda: count()[0])
        self.no_local_endpoints.labels("external", family).set_function(lambda: count()[1])

    def watch_rules(self, count: Callable[[Family, Table], tuple[int, int]]) -> None:
        """Ask `count` at each scrape how many rules there are in a table of iptables, and were written last."""
        for family in Family:
            for table in (Table.NAT, Table.FILTER):
                labels = table.value, family.api_name
                counted = partial(count, family, table)
                self.rules.labels(*labels).set_function(partial(_part, counted, 0))
                self.rules_last.labels(*labels).set_function(partial(_part, counted, 1))

    def failed(self, family: Family, whole: bool) -> None:
        """The kernel refused a family's ruleset, or a change of it."""
        self.failures.labels(family.api_name).inc()
        if self._mode is Mode.IPTABLES and not whole:
            self.partial_failures.labels(family.api_name).inc()

    def cleanup_failed(self, family: Family) -> None:
        """The kernel refused to have a family's unused chains removed."""
        if self._mode is Mode.NFTABLES:
            self.cleanup_failures.labels(family.api_name).inc()

    def service_changed(self, *pending: Key) -> None:
        """A Service changed in the API; rules of the `pending` ones are to be written for that."""
        self._pending_services.update(pending)
        self.services_changed.inc()

    def slice_changed(self, *pending: Key) -> None:
        """An EndpointSlice changed in the API; rules of the `pending` Services are to be written for that."""
        self._pending_endpoints.update(pending)
        self.endpoints_changed.inc()

    def written(self, services: Iterable[Key]) -> None:
        """The changes of these Services are in force, in a family at least."""
        self._pending_services.difference_update(services)
        self._pending_endpoints.difference_update(services)

    def queued(self) -> None:
        """A change waits to be written."""
        for family in Family:
            self.last_queued.labels(family.api_name).set_to_current_time()

    def synced(self, family: str, *, whole: bool, seconds: float) -> None:
        """A family's ruleset has been written."""
        self.sync.labels(family).observe(seconds)
        (self.full_sync if whole else self.partial_sync).labels(family).observe(seconds)
        self.last_sync.labels(family).set_to_current_time()

    def forgotten(self, family: Family, seconds: float, flows: int) -> None:
        """Stale flows of a family were looked for and deleted."""
        self.conntrack_sync.labels(family.api_name).observe(seconds)
        self.conntrack_deleted.labels(family.api_name).inc(flows)

    def programmed(self, family: str, triggers: Iterable[float]) -> None:
        """Changes of endpoints that began at these times are in force; those before our start tell nothing of us."""
        now = time.time()
        for moment in triggers:
            if self._started < moment <= now:
                self.programming.labels(family).observe(now - moment)


def _part(counted: Callable[[], tuple[int, int]], number: int) -> float:
    return counted()[number]
