"""The health and metrics servers."""

import asyncio
import socket
from datetime import timedelta

import aiohttp
import pytest
from prometheus_client import Counter

from nodekit.aio import virtual
from nodekit.aio.clock import SystemClock, VirtualClock
from nodekit.objects.meta import Key
from pyproxy import errors
from pyproxy.model.address import Family
from pyproxy.model.iptables import Table
from pyproxy.model.options import Mode
from pyproxy.report import http
from pyproxy.report.health import Health
from pyproxy.report.metrics import Metrics

SHOWN = http.Shown("nftables", lambda: {"mode": "nftables"}, {"proxy-mode": "nftables", "v": "2"})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


async def get(url: str) -> tuple[int, str]:
    for _ in range(50):
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


@pytest.mark.parametrize(
    ("bind", "host"),
    [
        pytest.param("0.0.0.0:{}", "127.0.0.1", id="IPv4"),
        pytest.param("[::]:{}", "127.0.0.1", id="the unspecified IPv6 address answers over IPv4"),
        pytest.param("127.0.0.1:{}", "127.0.0.1", id="one address"),
    ],
)
async def test_health_is_served_where_it_is_bound(bind: str, host: str) -> None:
    health = Health(SystemClock(), timeout=60)
    health.expect(Family.IPV4)
    port = free_port()
    app = http.health_app(health, Metrics(), eligible=lambda: False)
    async with http.serving(app, bind.format(port), name="healthz"):
        assert (await get(f"http://{host}:{port}/livez"))[0] == 503
        health.updated(Family.IPV4)
        assert (await get(f"http://{host}:{port}/livez"))[0] == 200
        status, body = await get(f"http://{host}:{port}/healthz")
    assert (status, '"nodeEligible":false' in body) == (503, True)


async def test_the_genuine_metrics_are_there() -> None:
    metrics = Metrics()
    metrics.synced("IPv4", whole=True, seconds=0.1)
    port = free_port()
    app = http.metrics_app(metrics, SHOWN)
    async with http.serving(app, f"127.0.0.1:{port}", name="metrics"):
        _, body = await get(f"http://127.0.0.1:{port}/metrics")
        mode = await get(f"http://127.0.0.1:{port}/proxyMode")
    assert mode == (200, "nftables")
    assert 'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1.0' in body
    assert 'kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1.0' in body


def test_the_iptables_mode_counts_its_rules_and_which_restores_failed() -> None:
    metrics = Metrics(Mode.IPTABLES)
    metrics.watch_rules(lambda family, table: (7, 2) if table is Table.NAT else (3, 1))
    metrics.failed(Family.IPV4, whole=False)
    metrics.failed(Family.IPV4, whole=True)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"kubeproxy_sync_proxy_rules_iptables_{name}", labels)

    assert value("total", table="nat", ip_family="IPv6") == 7
    assert value("last", table="filter", ip_family="IPv4") == 1
    assert value("restore_failures_total", ip_family="IPv4") == 2
    assert value("partial_restore_failures_total", ip_family="IPv4") == 1


def test_changes_are_pending_until_they_are_written() -> None:
    metrics, a, b = Metrics(), Key("ns", "a"), Key("ns", "b")

    def pending() -> tuple[float | None, ...]:
        return tuple(
            metrics.registry.get_sample_value(f"kubeproxy_sync_proxy_rules_{one}_changes_pending")
            for one in ("service", "endpoint")
        )

    assert pending() == (0, 0)
    metrics.service_changed(a)
    metrics.service_changed()
    metrics.slice_changed(a)
    metrics.slice_changed(a)
    metrics.slice_changed(b)
    assert pending() == (1, 2)
    metrics.written([a])
    assert pending() == (0, 1)


def test_a_refused_removal_of_chains_is_counted_where_there_are_any() -> None:
    nftables, iptables = Metrics(), Metrics(Mode.IPTABLES)
    for metrics in (nftables, iptables):
        metrics.cleanup_failed(Family.IPV6)
    name = "kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total"
    assert nftables.registry.get_sample_value(name, {"ip_family": "IPv6"}) == 1
    assert iptables.registry.get_sample_value(name, {"ip_family": "IPv6"}) is None


def test_a_change_that_waits_too_long_makes_it_unhealthy() -> None:
    async def scenario() -> None:
        health = Health(VirtualClock(), timeout=60)
        health.expect(Family.IPV4, Family.IPV6)
        assert not health.answer().healthy
        health.updated(Family.IPV4)
        health.updated(Family.IPV6)
        health.queued()
        await asyncio.sleep(59)
        assert health.answer().healthy
        await asyncio.sleep(2)
        answer = health.answer()
        assert not answer.healthy
        assert answer.current_time - answer.last_updated == timedelta(seconds=61)
        health.updated(Family.IPV4)
        assert not health.answer().healthy
        health.updated(Family.IPV6)
        assert health.answer(True).good
        # The genuine one tells of the proxy in the body, and of the node in the status code.
        assert health.answer(False).healthy
        assert not health.answer(False).good

    virtual.run(scenario())


async def test_what_costs_something_is_read_for_each_scrape() -> None:
    metrics, scrapes = Metrics(), Counter("scrapes", "How often it was prepared", registry=None)
    metrics.registry.register(scrapes)

    async def prepare() -> None:
        scrapes.inc()

    port = free_port()
    app = http.metrics_app(metrics, SHOWN, prepare=prepare)
    async with http.serving(app, f"127.0.0.1:{port}", name="metrics"):
        for count in (1, 2):
            assert f"scrapes_total {count}.0" in (await get(f"http://127.0.0.1:{port}/metrics"))[1]


@pytest.mark.parametrize(
    ("path", "status", "kind", "part"),
    [
        pytest.param("/healthz", 200, "text/plain; charset=utf-8", "ok", id="healthz"),
        pytest.param("/healthz?verbose", 200, "text/plain; charset=utf-8", "[+]ping ok\n", id="healthz in full"),
        pytest.param("/healthz/ping", 200, "text/plain; charset=utf-8", "ok", id="one check"),
        pytest.param("/metrics", 200, "text/plain; version=0.0.4", "kubeproxy_", id="metrics"),
        pytest.param("/metrics/slis", 200, "text/plain; version=0.0.4", "", id="how healthz was"),
        pytest.param("/proxyMode", 200, "text/plain; charset=utf-8", "nftables", id="the mode"),
        pytest.param(
            "/configz", 200, "application/json", '{"kubeproxy.config.k8s.io":{"mode":', id="the configuration"
        ),
        pytest.param("/flagz", 200, "text/plain; charset=utf-8", "\nkube-proxy flagz\n", id="the flags"),
        pytest.param("/statusz", 200, "text/plain; charset=utf-8", "\nkube-proxy statusz\n", id="what runs here"),
        pytest.param("/debug/pprof/", 404, "text/plain; charset=utf-8", "404", id="there is no profiler"),
    ],
)
async def test_the_genuine_endpoints_are_there(path: str, status: int, kind: str, part: str) -> None:
    port = free_port()
    app = http.metrics_app(Metrics(), SHOWN)
    async with (
        http.serving(app, f"127.0.0.1:{port}", name="metrics", hard=True),
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        assert answer.status == status
        assert answer.headers["Content-Type"].startswith(kind)
        assert part in await answer.text()


async def test_a_port_that_is_taken_is_an_error_when_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        app = http.metrics_app(Metrics(), SHOWN)
        with pytest.raises(errors.ListenError, match=f"metrics can't listen on 127.0.0.1:{port}: .*in use"):
            async with http.serving(app, f"127.0.0.1:{port}", name="metrics", hard=True):
                pass


async def test_in_good_health_it_was_last_updated_now() -> None:
    health = Health(SystemClock(), timeout=60)
    health.expect(Family.IPV4)
    health.updated(Family.IPV4)
    good, bad = health.answer(True), health.answer(False)
    assert good.last_updated == good.current_time
    assert bad.last_updated < bad.current_time
