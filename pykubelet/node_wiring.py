"""Puts together what concerns the Node as a whole: the runtime's health, the Node's status, its Lease."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import SystemClock
from nodekit.aio.tasks import Tasks
from nodekit.kube.client import Client
from pykubelet import KUBERNETES_VERSION, VERSION
from pykubelet.act.cgroups import Cgroups
from pykubelet.config.settings import Settings
from pykubelet.cri import runtime_api
from pykubelet.decide import cgroups, node_resources, qos
from pykubelet.desired.own_node import OwnNode
from pykubelet.model.ids import Uid
from pykubelet.model.observed import PodRuntime
from pykubelet.observe import machine
from pykubelet.observe.node_facts import NodeFactsGatherer
from pykubelet.observe.runtime_health import RuntimeHealth
from pykubelet.observe.usage import Place, Usage
from pykubelet.options import Options
from pykubelet.report import node_settings
from pykubelet.report.csi_node import CSINodeReporter
from pykubelet.report.events import NORMAL, WARNING, Recorder
from pykubelet.report.lease import NodeLease
from pykubelet.report.node import NodeReporter
from pykubelet.serve import metrics_cadvisor, metrics_resource
from pykubelet.serve.metrics import Source

SHOWN_VERSION: Final = f"v{KUBERNETES_VERSION}+pykubelet.{VERSION}"
"""What the Node says its kubelet is: a Kubernetes version, with ours as build metadata."""

_CGROUP_V1: Final = (
    "cgroup v1 detected. cgroup v1 support is deprecated and will be removed in a future release. Please migrate to "
    "cgroup v2. More information at https://git.k8s.io/enhancements/keps/sig-node/5573-remove-cgroup-v1"
)


class NodeLoop:
    """`start` starts its tasks. `options.node_ips` must hold the node's addresses."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        *,
        client: Client,
        services: tuple[runtime_api.RuntimeService, runtime_api.ImageService],
        told: tuple[OwnNode, Recorder, RuntimeHealth],
        seen: Callable[[Uid], PodRuntime | None],
    ) -> None:
        runtime, images = services
        node, recorder, self.health = told
        clock = SystemClock()
        self._settings = settings
        self._recorder = recorder
        self.machine = machine.read()
        self.facts = NodeFactsGatherer(
            self.health,
            images,
            machine=self.machine,
            addresses=options.node_ips,
            root_dir=options.root if settings.local_storage_capacity_isolation else None,
            clock=clock,
        )
        labels, taints = dict(options.labels), options.taints
        self.reporter = NodeReporter(
            client,
            node,
            recorder,
            settings=node_settings.of(
                settings, name=options.node_name, version=SHOWN_VERSION, labels=labels, taints=taints
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
                pods_cgroup=cgroups.qos_parent(settings.cgroup_root or "/", qos.GUARANTEED),
            ),
            seen=seen,
            clock=clock,
        )
        self.csi_node = CSINodeReporter(client, node, clock=clock)
        self.lease = NodeLease(client, node, duration=settings.node_lease_duration_seconds, clock=clock)
        self.health.subscribe(self.reporter.wake)
        node.subscribe(self.reporter.node_changed)

    def enforce(self, groups: Cgroups) -> None:
        """Give the cgroup of all Pods what Pods may have. Raises OSError that names the file."""
        settings = self._settings
        groups.ensure_roots(
            node_resources.enforced(
                self.machine,
                for_agents=(settings.kube_reserved, settings.system_reserved),
                limited=settings.cgroups_per_qos and "pods" in settings.enforce_node_allocatable,
            )
        )
        self._recorder.of_node(NORMAL, "NodeAllocatableEnforced", "Updated Node Allocatable limit across pods")
        if not groups.unified:
            self._recorder.of_node(WARNING, "CgroupV1", _CGROUP_V1)

    def metrics(self, runtime: runtime_api.UsageCalls) -> dict[str, Source]:
        """What is served beside the process's own metrics, by path."""
        summary = self.usage.summary
        return {
            metrics_resource.PATH: metrics_resource.ResourceMetrics(summary).text,
            metrics_cadvisor.PATH: metrics_cadvisor.ContainerMetrics(runtime, summary, machine=self.machine).text,
        }

    def start(self, tasks: Tasks, *, restart: Backoff) -> None:
        """Have it all run."""
        start = functools.partial(tasks.start, restart=restart)
        start("runtime-health", self.health.run)
        start("node", self.reporter.run)
        start("csi-node", self.csi_node.run)
        start("lease", self.lease.run)
