"""Puts together what the API server asks of this node and is told of it: Pods and what they refer to, status, events.

Static Pods are among them: they are wanted as others are, and the API server is told of them by their mirrors.
"""

import functools
from collections.abc import Callable
from pathlib import Path

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import SystemClock
from nodekit.aio.tasks import Tasks
from nodekit.kube.client import Client
from pykubelet.config.settings import Settings
from pykubelet.decide import downward
from pykubelet.desired.apiserver import ApiPods
from pykubelet.desired.last_known import LastKnown
from pykubelet.desired.merge import Desired
from pykubelet.desired.own_node import OwnNode
from pykubelet.desired.referenced import Referenced
from pykubelet.desired.runtime_classes import RuntimeClasses
from pykubelet.desired.services import Services
from pykubelet.desired.static_pods import StaticPods
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.options import Options
from pykubelet.report.events import Recorder
from pykubelet.report.mirror import Mirrors
from pykubelet.report.pod_status import Reporter


class ApiLoop:
    """`wake(uid)` is called when something else is wanted of a Pod, `content_changed(uid)` when what it refers to says
    something else."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        *,
        client: Client,
        wake: Callable[[Uid], None],
        content_changed: Callable[[Uid], None],
    ) -> None:
        clock = SystemClock()
        self._host_ips = options.node_ips
        self.known = known = LastKnown(options.root, options.last_known)
        self.node = OwnNode(client, name=options.node_name, shelf=known.node())
        self.events = Recorder(client, self.node, clock=clock)
        self.desired = Desired(wake=wake)
        self.pods = ApiPods(
            client, self.desired, node_name=options.node_name, is_echo=self._is_echo, shelf=known.pods()
        )
        self.static_pods = StaticPods(
            Path(settings.static_pod_path) if settings.static_pod_path else None,
            self.desired,
            node_name=options.node_name,
            period=settings.file_check_frequency,
        )
        self.referenced = Referenced(client, wake=content_changed, shelf=known.referenced)
        self.services = Services(client, known.services())
        self.runtime_classes = RuntimeClasses(client, known.runtime_classes())
        self.mirrors = Mirrors(client, self.pods, self.desired, node=self.node, clock=clock)
        self.reporter = Reporter(client, self.pods, self.mirrors, clock=clock)
        self.pods.last_status = self.reporter.last
        self.reporter.on_publish.append(lambda *_: self.pods.status_changed())

    def start(self, tasks: Tasks, *, restart: Backoff) -> None:
        """Have it all run."""
        start = functools.partial(tasks.start, restart=restart)
        start("last-known", self.known.shelves.run)
        start("events", self.events.run)
        start("own-node", self.node.run)
        start("mirrors", self.mirrors.run)
        start("desired", self.pods.run)
        start("static-pods", self.static_pods.run)
        start("services", self.services.run)
        start("runtime-classes", self.runtime_classes.run)
        start("status", self.reporter.run)
        tasks.start("desired-synced", self.pods.wait_synced)
        tasks.start("referenced", self.referenced.run)

    def facts(self, pod_ips: tuple[str, ...]) -> downward.Facts:
        """What a Pod with these addresses may be told of itself and its node."""
        node = self.node.current
        allocatable = dict(node.status.allocatable) if node else {}
        return downward.Facts(pod_ips=pod_ips, host_ips=self._host_ips, allocatable=allocatable)

    def _is_echo(self, before: Pod | None, pod: Pod) -> bool:
        return self.reporter.wrote(before, pod)
