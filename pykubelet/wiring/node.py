"""Puts together what concerns the Node as a whole: the runtime's health, the Node's status, its Lease."""

import asyncio
import dataclasses
import functools
import logging
from pathlib import Path
from typing import Final

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import SystemClock
from nodekit.aio.tasks import Tasks
from nodekit.kube.client import Client
from nodekit.metrics import Metrics
from pykubelet import KUBERNETES_VERSION, VERSION, meters
from pykubelet.act import eviction, mount
from pykubelet.act.eviction import Evictions, Eyes, Rules
from pykubelet.act.pod_cidr import PodCidr
from pykubelet.act.shutdown import Shutdown
from pykubelet.config.settings import Settings
from pykubelet.cri import runtime_api
from pykubelet.decide import node_resources, pressure, shutdown
from pykubelet.decide.shutdown import Step
from pykubelet.errors import StartupError
from pykubelet.model.machine import Pressure
from pykubelet.observe import machine
from pykubelet.observe.logind import Logind, LogindError
from pykubelet.observe.node_facts import NodeFactsGatherer
from pykubelet.observe.signals import Signals
from pykubelet.observe.usage import Place, Usage
from pykubelet.options import Options
from pykubelet.report import node_settings
from pykubelet.report.csi_node import CSINodeReporter
from pykubelet.report.events import NORMAL, WARNING
from pykubelet.report.lease import NodeLease
from pykubelet.report.node import NodeReporter
from pykubelet.report.start_latency import MeteredStarts, StartLatency
from pykubelet.report.terminations import Terminations
from pykubelet.serve import agent_metrics, metrics, metrics_cadvisor, metrics_disk, metrics_resource
from pykubelet.serve.agent_metrics import AgentMetrics, Sources
from pykubelet.serve.metrics import Source
from pykubelet.wiring.pods import PodLoop

SHOWN_VERSION: Final = f"v{KUBERNETES_VERSION}+pykubelet.{VERSION}"
"""What the Node says its kubelet is: a Kubernetes version, with ours as build metadata."""

_CGROUP_V1: Final = (
    "cgroup v1 detected. cgroup v1 support is deprecated and will be removed in a future release. Please migrate to "
    "cgroup v2. More information at https://git.k8s.io/enhancements/keps/sig-node/5573-remove-cgroup-v1"
)
_SWAP: Final = (
    "running with swap on is not supported, please disable swap or set --fail-swap-on flag to false (failSwapOn: false)"
)
_SWAPPED_VOLUMES: Final = (
    "The tmpfs noswap option is not supported. Memory-backed volumes (e.g. secrets, emptyDirs, etc.) might be swapped "
    "to disk and should no longer be considered secure."
)
_LOGIND_AGAIN: Final = 10.0
"""Seconds until logind is looked for again when it cannot be reached."""

log = logging.getLogger(__name__)


class NodeLoop:
    """`start` starts its tasks. `options.node_ips` must hold the node's addresses."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        *,
        client: Client,
        services: tuple[runtime_api.RuntimeService, runtime_api.ImageService],
        pods: PodLoop,
    ) -> None:
        runtime, images = services
        node, recorder, self.health = pods.api.node, pods.api.events, pods.seen.health
        clock = SystemClock()
        pods_cgroup = pods.containers.cgroups.of_all_pods
        self._node_name = options.node_name
        self._settings = settings
        self._runtime = runtime
        self._pods = pods
        self._recorder = recorder
        self.machine = pods.seen.machine
        self.facts = NodeFactsGatherer(
            self.health,
            images,
            machine=self.machine,
            addresses=options.node_ips,
            root_dir=options.root if settings.local_storage_capacity_isolation else None,
            clock=clock,
        )
        self.reporter = NodeReporter(
            client,
            node,
            recorder,
            settings=node_settings.of(
                settings,
                name=options.node_name,
                version=SHOWN_VERSION,
                labels=dict(options.labels),
                external_cloud=options.external_cloud,
                node_ips=options.given_ips,
            ),
            gather=self.facts.gather,
            timing=node_settings.timing(settings, register=options.register),
            clock=clock,
        )
        self.usage = Usage(
            runtime,
            images,
            machine=self.machine,
            place=Place(
                node_name=options.node_name,
                root=options.root,
                logs=Path(settings.pod_logs_dir),
                pods_cgroup=pods_cgroup,
                cgroups=pods.containers.cgroups.pods,
            ),
            seen=pods.seen.view.get,
            clock=clock,
        )
        self.usage.mounted, self.usage.ask_driver = pods.storage.measurable, pods.storage.filesystem
        self.csi_node = CSINodeReporter(client, node)
        self.csi_node.drivers, self.csi_node.gone = pods.storage.plugins.nodes, lambda: pods.storage.plugins.gone
        pods.storage.plugins.subscribe(self.csi_node.wake)
        self.facts.volumes_in_use = pods.storage.csi.in_use
        self.facts.devices = pods.devices.plugins.capacity
        pods.devices.plugins.subscribe(lambda resource: self.reporter.wake())
        self.lease = NodeLease(client, node, duration=settings.node_lease_duration_seconds, clock=clock)
        signals = Signals(self.usage, self.machine, pods_cgroup=pods_cgroup)
        self.evictions = Evictions(
            _eviction_rules(settings),
            Eyes(signals.read, self.usage.by_pod, pods.upkeep.images.remove_unused, self.usage.disks_apart),
            pods.workers.memories,
            tell=recorder,
            clock=clock,
        )
        self.evictions.changed = self.reporter.wake
        self.shutdown = Shutdown(
            _shutdown_steps(settings), pods.workers.memories, told=pods.api.reporter.settled, tell=recorder, clock=clock
        )
        self.shutdown.changed = self.reporter.wake
        self.facts.problems.append(self.shutdown.problem)
        pods.refuses_all = self.shutdown.refuses
        self.facts.pressure = self._pressure
        self.facts.problems.append(lambda: pods.seen.relist.trouble() or "")
        pods.under_pressure = lambda: self.evictions.conditions
        self.health.subscribe(self.reporter.wake)
        self.pod_cidr = PodCidr(runtime, node=lambda: node.current, clock=clock)
        node.subscribe(self.pod_cidr.changed)
        node.subscribe(self.reporter.node_changed)

    async def enforce(self) -> None:
        """Give the cgroup of all Pods what Pods may have. Raises OSError that names the file, and StartupError."""
        settings, groups = self._settings, self._pods.containers.cgroups
        if machine.is_swapping():
            if settings.fail_swap_on:
                raise StartupError(_SWAP)
            if not mount.can_forbid_swap():
                self._recorder.of_node(WARNING, "PossibleMemoryBackedVolumesOnDisk", _SWAPPED_VOLUMES)
        await groups.ensure_roots(
            node_resources.enforced(
                self.machine,
                for_agents=(settings.kube_reserved, settings.system_reserved),
                limited=settings.cgroups_per_qos and "pods" in settings.enforce_node_allocatable,
            )
        )
        self._recorder.of_node(NORMAL, "NodeAllocatableEnforced", "Updated Node Allocatable limit across pods")
        if not groups.unified:
            self._recorder.of_node(WARNING, "CgroupV1", _CGROUP_V1)

    def metrics(self, process: Metrics) -> dict[str, Source]:
        """What is served beside the process's own metrics, by path; to those the agent's are added."""
        pods, summary = self._pods, self.usage.summary
        self._measure(process)
        return {
            agent_metrics.PROBES: agent_metrics.ProbeMetrics(
                lambda: {dataclasses.astuple(which): count for which, count in pods.seen.probes.counts.items()},
                lambda: {
                    dataclasses.astuple(which)[:-1]: (took.count, took.seconds)
                    for which, took in pods.seen.probes.took.items()
                },
            ).text,
            metrics.OWN: metrics_disk.DiskMetrics(summary).text,
            metrics_resource.PATH: metrics_resource.ResourceMetrics(summary).text,
            metrics_cadvisor.PATH: metrics_cadvisor.ContainerMetrics(
                self._runtime, summary, machine=self.machine, identities=lambda: self.usage.identities
            ).text,
        }

    def _measure(self, process: Metrics) -> None:
        pods, clock = self._pods, SystemClock()
        sources = Sources(
            node_name=self._node_name,
            version=SHOWN_VERSION,
            cgroup_version=2 if pods.containers.cgroups.unified else 1,
            desired=lambda: pods.api.desired,
            active=pods.workers.memories.active,
            mirrors=pods.api.pods.mirrors,
            runtime=lambda: [found for uid in pods.seen.view.uids() if (found := pods.seen.view.get(uid)) is not None],
            working=pods.served.working,
            plugin=pods.storage.volumes.plugin,
            sockets=pods.storage.plugins.sockets,
        )
        process.registry.register(AgentMetrics(sources))
        pods.devices.measure(process)
        latency, ends = StartLatency(MeteredStarts(), clock=clock), Terminations()
        pods.pulls.actions.on_pull = latency.pulled
        pods.api.reporter.on_publish += (latency.published, ends.published)
        pods.api.reporter.on_forget += (latency.forget, ends.forget)
        pods.api.reporter.on_delivered.append(meters.pod_status_sync.observe)

    def start(self, tasks: Tasks, *, restart: Backoff) -> None:
        """Have it all run."""
        start = functools.partial(tasks.start, restart=restart)
        start("runtime-health", self.health.run)
        start("node", self.reporter.run)
        start("csi-node", self.csi_node.run)
        start("lease", self.lease.run)
        tasks.start("usage", self.usage.prime)
        start("evictions", self.evictions.run)
        start("pod-cidr", self.pod_cidr.run)
        if _shutdown_steps(self._settings):
            start("shutdown", self._watch_shutdowns)

    async def _watch_shutdowns(self) -> None:
        while True:
            try:
                async with Logind() as logind:
                    await self.shutdown.run(logind)
            except LogindError as error:
                log.error("a shutdown of the machine will not wait for Pods: %s", error)
            await asyncio.sleep(_LOGIND_AGAIN)

    def _pressure(self) -> Pressure:
        found = self.evictions.conditions
        return Pressure(
            memory=pressure.MEMORY_PRESSURE in found,
            disk=pressure.DISK_PRESSURE in found,
            pids=pressure.PID_PRESSURE in found,
        )


def _shutdown_steps(settings: Settings) -> tuple[Step, ...]:
    by_priority = settings.shutdown_grace_period_by_pod_priority
    if by_priority:
        return tuple(Step(one.priority, one.shutdown_grace_period_seconds) for one in by_priority)
    return shutdown.steps(
        total=settings.shutdown_grace_period, for_critical=settings.shutdown_grace_period_critical_pods
    )


def _eviction_rules(settings: Settings) -> Rules:
    configured = pressure.limits(
        hard=settings.eviction_hard,
        soft=settings.eviction_soft,
        graces=settings.eviction_soft_grace_period,
        reclaim=settings.eviction_minimum_reclaim,
    )
    return Rules(
        limits=eviction.limits(
            configured=configured, enforced=settings.cgroups_per_qos and "pods" in settings.enforce_node_allocatable
        ),
        transition=settings.eviction_pressure_transition_period,
        longest_grace=settings.eviction_max_pod_grace_period,
        local_storage=settings.local_storage_capacity_isolation,
    )
