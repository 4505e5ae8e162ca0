"""Constructs and wires the agent: the one place that does."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path

from nodekit.aio.clock import SystemClock
from nodekit.aio.tasks import Tasks
from nodekit.kube import auth
from nodekit.kube.client import Client
from nodekit.kube.events import Recorder
from nodekit.kube.transport import Transport
from nodekit.objects import meta
from pyproxy import VERSION
from pyproxy.act.conntrack.flows import Conntrack
from pyproxy.act.nftables.kernel import Kernel
from pyproxy.act.sync import Sync, Synced
from pyproxy.desired.world import World
from pyproxy.model.address import Family
from pyproxy.model.settings import Settings
from pyproxy.report import http
from pyproxy.report.health import Health
from pyproxy.report.metrics import Metrics

log = logging.getLogger(__name__)


def main(settings: Settings, *, shown: Callable[[], object]) -> None:
    """Proxy until SIGTERM or SIGINT. `shown` is the configuration as /configz shows it. Raises AuthError."""
    # pyroute2 opens its sockets with an event loop of its own, which must not be within ours.
    kernel, conntrack = Kernel(), Conntrack()
    try:
        asyncio.run(_until_told(_run(settings, kernel, conntrack, shown=shown)))
    finally:
        kernel.close()
        conntrack.close()


async def _until_told(work: Coroutine[None, None, None]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(work, name="pyproxy")
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _run(settings: Settings, kernel: Kernel, conntrack: Conntrack, *, shown: Callable[[], object]) -> None:
    clock = SystemClock()
    families = _families()
    health = Health(clock, timeout=2 * settings.sync_period)
    health.expect(*families)
    metrics = Metrics()
    credentials = auth.load(Path(settings.kubeconfig)) if settings.kubeconfig else auth.in_cluster(os.environ)
    async with Transport(credentials, user_agent=f"pyproxy/{VERSION}") as transport:
        client = Client(transport)
        world = World(client, settings, machine_ips=tuple)
        recorder = Recorder(client, component="kube-proxy", host=settings.node, clock=clock)
        sync = Sync(world, kernel, families=families, clock=clock, conntrack=conntrack)
        sync.min_interval = settings.min_sync_period
        _report(sync, world, health=health, metrics=metrics)
        world.subscribe(sync.wake, sync.wake_all)

        async def begin() -> None:
            await world.synced()
            sync.wake_all()
            await sync.run()

        def eligible() -> bool:
            myself = world.myself
            return myself is not None and myself.eligible

        health_app = http.health_app(health, metrics, eligible=eligible)
        metrics_app = http.metrics_app(metrics, mode="nftables", config=shown)
        async with (
            http.serving(health_app, settings.healthz_bind, name="healthz"),
            http.serving(metrics_app, settings.metrics_bind, name="metrics"),
            Tasks() as tasks,
        ):
            tasks.start("events", recorder.run)
            tasks.start("mirrors", world.run)
            tasks.start("sync", begin)
            recorder.normal(_about(settings.node), "Starting", message="")


def cleanup() -> None:
    """Remove our tables; nobody else's rules are touched."""
    kernel = Kernel()
    for family in Family:
        if kernel.delete_table(family):
            log.info("table %s pyproxy is removed", family.word)


def _about(node: str) -> meta.ObjectReference:
    return meta.ObjectReference(kind="Node", name=node, uid=node)


def _families() -> tuple[Family, ...]:
    """IPv6 is left alone on a machine that has none."""
    disabled = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    if not Path("/proc/net/if_inet6").exists() or (disabled.exists() and disabled.read_text().strip() == "1"):
        return (Family.IPV4,)
    return tuple(Family)


def _report(sync: Sync, world: World, *, health: Health, metrics: Metrics) -> None:
    def written(synced: Synced) -> None:
        name = synced.family.api_name
        health.updated(synced.family)
        metrics.sync.labels(name).observe(synced.seconds)
        (metrics.full_sync if synced.whole else metrics.partial_sync).labels(name).observe(synced.seconds)
        metrics.last_sync.labels(name).set_to_current_time()
        level = logging.INFO if synced.whole else logging.DEBUG
        log.log(level, "%s in sync: %d services in %.1fms", name, len(synced.services), synced.seconds * 1000)

    sync.subscribe(written)
    world.subscribe(lambda *_: health.queued(), health.queued)
