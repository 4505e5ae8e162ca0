"""Constructs and wires the agent: the one place that does."""

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from nodekit import systemd
from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import SystemClock
from nodekit.aio.tasks import Tasks
from nodekit.kube.client import Client
from nodekit.kube.events import Recorder
from nodekit.kube.transport import Transport
from nodekit.objects import meta
from nodekit.objects.meta import Key
from pyproxy import VERSION, errors, modes, wiring
from pyproxy.act import leftovers
from pyproxy.act.conntrack import sysctls
from pyproxy.act.conntrack.flows import Conntrack
from pyproxy.act.nftables.kernel import Kernel
from pyproxy.act.sync import Sync, Synced
from pyproxy.config.settings import Settings
from pyproxy.decide.ruleset import Ruleset
from pyproxy.desired.world import World
from pyproxy.model import address as addressing
from pyproxy.model.address import Family
from pyproxy.model.options import Mode, Options
from pyproxy.model.ruleset import Counting
from pyproxy.observe import config_file
from pyproxy.observe.addresses import Addresses
from pyproxy.report import http
from pyproxy.report.connections import Connections
from pyproxy.report.health import Health
from pyproxy.report.metrics import Metrics
from pyproxy.report.service_health import Check, ServiceHealth

log = logging.getLogger(__name__)

_PATIENCE = 5.0
_RESTART = Backoff(base=1.0, cap=30.0)
_ALLOCATIONS = 50_000
_YOUNG, _YOUNG_WHEN_SETTLED = 1000, 20
T = TypeVar("T")


def prepare(settings: Settings, options: Options) -> None:
    """What needs full root privileges and is done once: kernel parameters."""
    sysctls.apply(settings.conntrack)
    if options.mode is Mode.IPTABLES and options.node_ports.loopback:
        sysctls.route_loopback()


def adapted(options: Options) -> Options:
    """The options as this machine's kernel parameters make them."""
    return dataclasses.replace(options, drop_invalid=not sysctls.be_liberal())


def cleanup() -> bool:
    """Remove the rules of every mode of ours and of a genuine kube-proxy; whether all that was there is gone."""
    kernel = Kernel()
    try:
        return asyncio.run(leftovers.remove(kernel))
    finally:
        kernel.close()


def main(options: Options, *, shown: http.Shown, file: Path | None, readable: Callable[[Path], bool]) -> bool:
    """Proxy until SIGTERM or SIGINT, or until the configuration `file` has changed to a `readable` one: True then.

    Raises AuthError, and ListenError when the configuration wants a port or nothing.
    """
    # What a cluster asks is millions of small values that live on and hold no cycles: with Python's own thresholds,
    # looking for cycles among them takes half the time of a start. So only new ones are looked at, until all are there.
    gc.set_threshold(_ALLOCATIONS, _YOUNG)
    gc.freeze()
    # pyroute2 opens its sockets with an event loop of its own, which must not be within ours.
    kernel, conntrack = Kernel(), Conntrack()
    counters = Kernel()  # a socket of its own: it is read in a thread
    try:
        work = _in_mode(options, kernel, conntrack, counters, shown=shown)
        return asyncio.run(_until_told(work, None if file is None else config_file.changed(file, readable)))
    finally:
        counters.close()
        kernel.close()
        conntrack.close()


async def _until_told(work: Coroutine[None, None, None], change: Coroutine[None, None, None] | None) -> bool:
    """Work until a signal, or until `change` returns: True then, but for a signal that comes while the work ends."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(work, name="pyproxy")
    changed = told = False

    async def watch(change: Coroutine[None, None, None]) -> None:
        nonlocal changed
        await change
        changed = True
        task.cancel()

    def end() -> None:
        nonlocal told
        told = True
        task.cancel()

    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, end)
    watcher = None if change is None else asyncio.create_task(watch(change), name="configuration")
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        if watcher is not None:
            watcher.cancel()
    return changed and not told


async def _in_mode(
    options: Options, kernel: Kernel, conntrack: Conntrack, counters: Kernel, *, shown: http.Shown
) -> None:
    match options.mode:
        case Mode.NFTABLES:
            await _run(options, modes.Nftables(kernel, wiring.families()), conntrack, counters, shown=shown)
        case Mode.IPTABLES:
            await _run(options, await modes.of_iptables(kernel, wiring.families()), conntrack, counters, shown=shown)


async def _run(
    options: Options, mode: modes.Mode[T], conntrack: Conntrack, counters: Kernel, *, shown: http.Shown
) -> None:
    clock, metrics, families = SystemClock(), Metrics(options.mode), mode.families
    notifier = systemd.Notifier(os.environ)
    health = Health(clock, timeout=2 * options.sync_period)
    health.expect(*families)
    async with Transport(wiring.credentials(options), user_agent=f"pyproxy/{VERSION}") as transport:
        client = Client(transport)
        addresses = Addresses()
        world = World(client, options, machine_ips=lambda: addresses.current)
        recorder = Recorder(client, component="kube-proxy", host=options.node, clock=clock)
        sync = Sync(world, mode.writer, mode.rules, families=families, clock=clock, conntrack=conntrack)
        sync.min_interval = options.min_sync_period
        addresses.subscribe(sync.wake_all)
        mode.subscribe(sync.refill)

        def refused(service: Key, message: str) -> None:
            about = meta.ObjectReference(kind="Service", namespace=service.namespace, name=service.name)
            recorder.warning(about, "FailedToStartServiceHealthcheck", message=message)

        def hosts() -> Iterator[str]:
            for family in families:
                chosen = world.policy(family).node_port_ips
                yield from (family.everywhere,) if chosen is None else map(addressing.text, chosen)

        checks = ServiceHealth(lambda: health.answer().healthy, refused=refused, hosts=hosts)
        addresses.subscribe(checks.look_again)
        mode.report(metrics)
        _report(sync, world, health=health, metrics=metrics, checks=checks)
        world.subscribe(sync.wake, sync.wake_all)

        async def begin() -> None:
            await world.synced()
            sync.wake_all()
            async with Tasks() as inner:
                inner.start("sync", sync.run)
                # What others do from our first load on has been heard, and is healed from here on.
                await sync.settled.wait()
                # To look through all that is there now would stop everything for seconds, at 100,000 Services.
                gc.freeze()
                gc.set_threshold(_ALLOCATIONS, _YOUNG_WHEN_SETTLED)
                notifier.ready("the rules stand")
                inner.start("edits", mode.watch, restart=_RESTART)
                await mode.take_over()

        def eligible() -> bool:
            myself = world.myself
            return myself is not None and myself.eligible

        health_app = http.health_app(health, metrics, eligible=eligible)
        prepare = _count(options, sync.rulesets, counters, metrics)
        metrics_app = http.metrics_app(metrics, shown, prepare=prepare)
        async with contextlib.AsyncExitStack() as stack:
            for name, app, bind, reason in (
                ("healthz", health_app, options.healthz_bind, "FailedToStartProxierHealthcheck"),
                ("metrics", metrics_app, options.metrics_bind, "FailedToStartMetricServer"),
            ):
                server = http.serving(app, bind, name=name, hard=options.bind_hard_fail)
                try:
                    await stack.enter_async_context(server)
                except errors.ListenError as error:
                    await _last_words(recorder, options.node, reason, str(error))
                    raise
            tasks = await stack.enter_async_context(Tasks())
            tasks.start("events", recorder.run)
            tasks.start("addresses", addresses.run, restart=_RESTART)
            tasks.start("mirrors", world.run)
            tasks.start("health checks", checks.run, restart=_RESTART)
            tasks.start("proxy", begin)
            tasks.start("watchdog", lambda: notifier.keep_alive(lambda: True))
            recorder.normal(_about(options.node), "Starting", message="")


async def _last_words(recorder: Recorder, node: str, reason: str, message: str) -> None:
    """Send an event although the agent is about to end, if the API server takes it soon."""
    recorder.warning(_about(node), reason, message=message)
    sending = asyncio.create_task(recorder.run(), name="last words")
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await recorder.flush()
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending


def _count(
    options: Options, rulesets: Mapping[Family, object], counters: Kernel, metrics: Metrics
) -> Callable[[], Awaitable[None]] | None:
    """What to wait for before /metrics are read; nothing when connections are not counted."""
    if options.counting is Counting.NOTHING:
        return None
    owned = {family: ruleset.owned for family, ruleset in rulesets.items() if isinstance(ruleset, Ruleset)}
    if not owned:
        log.warning("connections are not counted: that needs mode nftables")
        return None
    connections = Connections(counters, options.counting, owned=owned)
    metrics.registry.register(connections)
    return connections.read


def _about(node: str) -> meta.ObjectReference:
    return meta.ObjectReference(kind="Node", name=node, uid=node)


def _report(sync: Sync[T], world: World, *, health: Health, metrics: Metrics, checks: ServiceHealth) -> None:
    def written(synced: Synced) -> None:
        name = synced.family.api_name
        health.updated(synced.family)
        metrics.synced(name, whole=synced.whole, seconds=synced.seconds)
        metrics.written(synced.services)
        for service in synced.services:
            metrics.programmed(name, world.take_triggers(service, synced.family))
            found = world.health_check(service)
            checks.put(service, None if found is None else Check(service, *found))
        level = logging.INFO if synced.whole else logging.DEBUG
        log.log(level, "%s in sync: %d services in %.1fms", name, len(synced.services), synced.seconds * 1000)

    def queued(*_: object) -> None:
        health.queued()
        metrics.queued()

    sync.subscribe(written)
    world.keep_triggers(sync.rulesets)
    for family, ruleset in sync.rulesets.items():
        metrics.watch_policies(family.api_name, ruleset.without_local_endpoints)
    world.count(services=metrics.service_changed, slices=metrics.slice_changed)
    sync.on_forgotten(metrics.forgotten)
    sync.on_failure(metrics.failed)
    sync.on_cleanup_failure(metrics.cleanup_failed)

    def all_queued() -> None:
        queued()
        checks.look_again()

    world.subscribe(queued, all_queued)
