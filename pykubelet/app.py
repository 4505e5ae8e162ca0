"""Constructs and wires the agent: the one place that does. What runs here is a list of constructions and of tasks."""

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from nodekit import systemd
from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import SystemClock
from nodekit.aio.tasks import Tasks
from nodekit.kube.client import Client
from nodekit.kube.transport import Transport
from nodekit.metrics import Metrics
from pykubelet import VERSION, meters
from pykubelet.act.identity import rotation
from pykubelet.act.identity.bootstrap import Places
from pykubelet.act.identity.client import ClientIdentity
from pykubelet.act.identity.rotation import Rotation
from pykubelet.act.identity.store import Store
from pykubelet.config.settings import Settings
from pykubelet.cri import channel
from pykubelet.cri.errors import CriError
from pykubelet.cri.images import Images
from pykubelet.cri.runtime import Runtime
from pykubelet.decide import identity
from pykubelet.observe import addresses
from pykubelet.observe.runtime_health import RuntimeHealth
from pykubelet.options import Options
from pykubelet.serve import explain, serving
from pykubelet.serve.serving import Host
from pykubelet.serve.stats_summary import StatsSummary
from pykubelet.wiring.node import NodeLoop
from pykubelet.wiring.pods import PodLoop

RESTART: Final = Backoff(base=0.5, cap=30.0)
"""How long a loop that crashed waits before it runs again."""
RUNTIME_PATIENCE: Final = 60.0
"""Seconds that a runtime is waited for at the start, before the configured cgroup driver is believed."""

_BOOTSTRAP_PATIENCE: Final = 20.0
"""How many seconds a start waits for the first certificate before static Pods are run without one."""

log = logging.getLogger(__name__)


def main(settings: Settings, options: Options) -> None:
    """Run Pods until SIGTERM or SIGINT; containers go on when we end. Raises AuthError and StartupError."""
    asyncio.run(_until_told(_run(settings, options)))


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(work, name="pykubelet")
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _run(settings: Settings, options: Options) -> None:
    found = addresses.of_node(options.node_ips, name=options.node_name)
    options = dataclasses.replace(options, node_ips=found)
    clock = SystemClock()
    places = Places(options.kubeconfig or Path(), options.bootstrap_kubeconfig, options.certificates)
    who = ClientIdentity(places, node=options.node_name, rotate=settings.rotate_certificates, clock=clock)
    credentials = await who.open()
    async with contextlib.AsyncExitStack() as stack:
        notifier = systemd.Notifier(os.environ)
        stack.callback(notifier.stopping)  # last of all, as the block is left before the tasks have ended
        transport = await stack.enter_async_context(Transport(credentials, user_agent=f"pykubelet/{VERSION}"))
        transport.meter = meters.RequestMeter()
        client = Client(transport)
        identities = await stack.enter_async_context(Tasks())
        identities.start("identity", lambda: who.run(credentials, client), restart=RESTART)
        await who.begun(at_most=_BOOTSTRAP_PATIENCE)
        runtime_channel = await stack.enter_async_context(channel.open_channel(settings.container_runtime_endpoint))
        image_endpoint = settings.image_service_endpoint or settings.container_runtime_endpoint
        image_channel = await stack.enter_async_context(channel.open_channel(image_endpoint))
        runtime = Runtime(runtime_channel, timeout=settings.runtime_request_timeout)
        images = Images(image_channel, timeout=settings.runtime_request_timeout)
        settings = msgspec.structs.replace(settings, cgroup_driver=await _cgroup_driver(runtime, settings))
        health = RuntimeHealth(runtime, clock=clock)
        loop = await stack.enter_async_context(
            PodLoop(settings, options, client=client, services=(runtime, images), health=health)
        )
        node = NodeLoop(settings, options, client=client, services=(runtime, images), pods=loop)
        await node.enforce()
        metrics = Metrics()
        metrics.include(meters.FAMILIES)
        if who.rotates:
            metrics.include(meters.CLIENT_CERTIFICATE)
        host = Host(
            node=options.node_name,
            addresses=options.node_ips,
            cert_dir=options.certificates,
            pods=loop.served,
            runtime=runtime,
            client=client,
            metrics=metrics,
            checks={"syncloop": loop.seen.relist.trouble},
            metrics_of=node.metrics(metrics),
            more=(StatsSummary(node.usage.summary),),
            flags=options.flags,
            checkpoints=options.root / "checkpoints",
        )
        await stack.enter_async_context(serving.running(settings, host))
        await stack.enter_async_context(explain.listening(options.root, loop.served.explain))
        if settings.server_tls_bootstrap and not settings.tls_cert_file:
            asked = identity.serving(options.node_name, options.node_ips)
            signed = Store(options.certificates, "kubelet-server")
            kept = Rotation(signed, asked, lambda: rotation.ask(client, signed, asked, clock=clock), clock=clock)
            metrics.include(meters.SERVING_CERTIFICATE)
            meters.serving_certificate_left.set_function(kept.expires_in)
            kept.failed, kept.replaced = meters.serving_renewal_errors.inc, meters.serving_certificate_lived.observe
            identities.start("serving identity", kept.run, restart=RESTART)
        tasks = await stack.enter_async_context(Tasks())
        loop.start(tasks, restart=RESTART)
        node.start(tasks, restart=RESTART)
        tasks.start("watchdog", lambda: notifier.keep_alive(lambda: True))
        notifier.ready(f"node {options.node_name}")
        # What was imported lives as long as the process: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()


async def _cgroup_driver(runtime: Runtime, settings: Settings) -> Literal["cgroupfs", "systemd"]:
    """The runtime's word on it, which both must agree on; the configuration's if the runtime is silent."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RUNTIME_PATIENCE):
            while True:
                try:
                    found = await runtime.cgroup_driver()
                except CriError as error:
                    log.info("waiting for the container runtime: %s", error)
                    await asyncio.sleep(0.5)
                else:
                    return settings.cgroup_driver if found is None else found.value
    return settings.cgroup_driver
