"""Puts the Pod loop together: desired, observe, act, report, and the wake-ups between them."""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import SystemClock
from nodekit.aio.tasks import Tasks
from nodekit.kube.client import Client
from pykubelet.act.admission import NodeAdmission
from pykubelet.act.cgroup_files import CgroupFiles
from pykubelet.act.cgroups import Cgroups
from pykubelet.act.container_inputs import Inputs, Node
from pykubelet.act.containers import ContainerStarter, Reach
from pykubelet.act.credential_plugins import CredentialPlugins
from pykubelet.act.credentials import ApiAccounts, ImageCredentials
from pykubelet.act.executor import Executor
from pykubelet.act.files import PodFiles
from pykubelet.act.image_actions import ImageActions
from pykubelet.act.images import Images
from pykubelet.act.isolation import PodIsolation
from pykubelet.act.pod_memory import PodMemory
from pykubelet.act.pod_worker import Neighbours, PodWorkers
from pykubelet.act.pulled_images import PulledImages
from pykubelet.act.sandbox import Place, Sandboxes
from pykubelet.act.stopping import ContainerStopper
from pykubelet.act.systemd_slices import SystemdSlices
from pykubelet.act.user_namespaces import USER_IDS, UserNamespaces, subordinate_ids
from pykubelet.act.volumes.tokens import Tokens
from pykubelet.config import credential_providers
from pykubelet.config.settings import Settings
from pykubelet.cri import runtime_api
from pykubelet.decide import (
    cgroups,
    container_spec,
    container_status,
    dns,
    downward,
    image_access,
    pod_status,
    security,
)
from pykubelet.decide.admission import Rejected
from pykubelet.desired.apiserver import ApiPods
from pykubelet.desired.last_known import LastKnown
from pykubelet.desired.merge import Desired
from pykubelet.desired.own_node import OwnNode
from pykubelet.desired.referenced import Referenced
from pykubelet.desired.runtime_classes import RuntimeClasses
from pykubelet.desired.services import Services
from pykubelet.desired.static_pods import StaticPods
from pykubelet.device_wiring import DeviceLoop
from pykubelet.model.ids import Uid
from pykubelet.model.machine import Machine
from pykubelet.model.observed import PodRuntime, RuntimeHandler
from pykubelet.model.pod import Pod
from pykubelet.model.runtime_config import DNSConfig
from pykubelet.model.status import PodStatus
from pykubelet.observe import cri_events, machine
from pykubelet.observe.probe_calls import Caller
from pykubelet.observe.probes import Probes
from pykubelet.observe.relist import Relist
from pykubelet.observe.runtime_health import RuntimeHealth
from pykubelet.observe.runtime_view import RuntimeView
from pykubelet.observe.termination import TerminationMessages
from pykubelet.options import Options
from pykubelet.report.events import Recorder
from pykubelet.report.mirror import Mirrors
from pykubelet.report.pod_status import Reporter
from pykubelet.serve.pod_metrics import Lifecycle, Working
from pykubelet.storage_wiring import Storage
from pykubelet.upkeep_wiring import LOG_LINKS, Upkeep

NODE_PATIENCE: Final = 5.0
"""Seconds that the first look at the Node is waited for; without an API server static Pods run all the same."""


class PodLoop:
    """All that runs Pods. `async with` opens what probes need; `start` has it all run."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        *,
        client: Client,
        services: tuple[runtime_api.RuntimeService, runtime_api.ImageService],
        health: RuntimeHealth,
    ) -> None:
        runtime, image_service = services
        clock = SystemClock()
        self._options = options
        self._runtime = runtime
        self.health = health
        self.under_pressure: Callable[[], frozenset[str]] = frozenset
        """The conditions of the node that keep new Pods away: MemoryPressure, DiskPressure, PIDPressure."""
        self.refuses_all: Callable[[], Rejected | None] = lambda: None
        """Why no Pod may come at all."""
        self._messages = TerminationMessages()
        self.known = known = LastKnown(options.root, options.last_known)
        self.node = OwnNode(client, name=options.node_name, shelf=known.node())
        self.events = events = Recorder(client, self.node, clock=clock)
        self.desired = Desired(wake=self._wake)
        self.api_pods = ApiPods(
            client, self.desired, node_name=options.node_name, is_echo=self._is_echo, shelf=known.pods()
        )
        self.static_pods = StaticPods(
            Path(settings.static_pod_path) if settings.static_pod_path else None,
            self.desired,
            node_name=options.node_name,
            period=settings.file_check_frequency,
        )
        self.referenced = Referenced(client, wake=self._content_changed, shelf=known.referenced)
        self.services = Services(client, known.services())
        self.view = RuntimeView(runtime, wake=self._wake, began=self._began)
        self.relist = Relist(self.view)
        self._caller = Caller(runtime)
        self.probes = Probes(self._caller, events, wake=self._wake, clock=clock)
        self.mirrors = Mirrors(client, self.api_pods, self.desired, node=self.node, clock=clock)
        self.reporter = Reporter(client, self.api_pods, self.mirrors, clock=clock)
        self.api_pods.last_status = self.reporter.last
        self.reporter.on_publish.append(lambda *_: self.api_pods.status_changed())
        self.machine = machine.read()
        cgroup_files = CgroupFiles()
        self.cgroups = Cgroups(
            settings.cgroup_root or "/",
            files=cgroup_files,
            running=self._running,
            slices=SystemdSlices(unified=cgroup_files.unified) if settings.cgroup_driver == "systemd" else None,
            pids_limit=max(settings.pod_pids_limit, 0),
            enforce_cpu_quota=settings.cpu_cfs_quota,
            page_sizes=self.machine.huge_pages,
        )
        files = PodFiles(options.root, cluster_domain=settings.cluster_domain)
        self.storage = Storage(
            client,
            options,
            api=(self.referenced, events),
            files=files,
            facts=self._facts,
            wake=self._content_changed,
            changed=self._contents_changed,
            memory=self.machine.memory,
            known=known,
        )
        volumes = self.storage.volumes
        self.devices = DeviceLoop(
            options, keeps=self._may_hold, active=self._active, named=self._named, wake=self._wake
        )
        devices = self.devices.devices
        self.runtime_classes = RuntimeClasses(client, known.runtime_classes())
        isolation = PodIsolation(
            self.runtime_classes,
            UserNamespaces(options.root, ids=subordinate_ids(), per_pod=_ids_per_pod(settings)),
            handlers=self._handlers,
        )
        place = Place(
            isolation=isolation,
            logs=Path(settings.pod_logs_dir),
            cluster_dns=dns.ClusterDNS(settings.cluster_dns, settings.cluster_domain, _node_dns(settings.resolv_conf)),
            host_ips=lambda: options.node_ips,
        )
        at_once = 1 if settings.serialize_image_pulls else settings.max_parallel_image_pulls
        credentials = ImageCredentials(
            self.referenced, node_file=options.root / "config.json", plugins=self._credential_plugins(client, clock)
        )
        self.pulled_images = PulledImages(options.root, _access_policy(settings), clock=clock)
        self.images = images = ImageActions(
            Images(image_service, at_once=at_once), events, credentials=credentials.get, pulled=self.pulled_images
        )
        facts = container_spec.NodeFacts(
            _limits(settings, self.machine, unified=self.cgroups.unified),
            security=security.Node(settings.seccomp_default, str(options.root / "seccomp"), machine.thermal_paths()),
        )
        sandboxes = Sandboxes(runtime, self.cgroups, events, place=place)
        reach = Reach(view=self.view, recorder=events, clock=clock, host_ips=options.node_ips, log_links=LOG_LINKS)
        inputs = Inputs(
            self.referenced, self.services, volumes, files, devices, node=Node(facts, self._facts, isolation)
        )
        executor = Executor(
            sandboxes=sandboxes,
            starter=ContainerStarter(runtime, sandboxes=sandboxes, inputs=inputs, images=images, reach=reach),
            stopper=ContainerStopper(runtime, reach, node=facts),
            images=images,
            objects=self.referenced,
            volumes=volumes,
            devices=devices,
            cgroups=self.cgroups,
        )
        neighbours = Neighbours(
            wanted=self.desired,
            seen=self.view,
            prober=self.probes,
            holder=self.referenced,
            reporter=self.reporter,
            admission=NodeAdmission(
                node=lambda: self.node.current,
                active=self._active,
                staying=self._staying,
                conditions=self._conditions,
                closed=self._closed,
                devices=devices.taken_by,
                apparmor=machine.has_apparmor(),
                unsafe_sysctls=settings.allowed_unsafe_sysctls,
            ),
            volumes=volumes,
            devices=devices,
            recorder=events,
        )
        self.upkeep = Upkeep(
            settings,
            services=services,
            pulled=self.pulled_images,
            holds=(volumes, files, self.cgroups),
            shelves=known.shelves,
            seen=(self.view, events),
            known=self._is_known,
        )
        backoff = settings.crash_loop_back_off.max_container_restart_period
        self.workers = PodWorkers(
            neighbours, executor, context=self._context, clock=clock, max_restart_delay=backoff or 300.0
        )

    async def __aenter__(self) -> Self:
        await self.cgroups.ensure_roots()
        await self._caller.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._caller.__aexit__(kind, error, trace)

    def start(self, tasks: Tasks, *, restart: Backoff) -> None:
        """Have it all run."""
        start = functools.partial(tasks.start, restart=restart)
        start("last-known", self.known.shelves.run)
        start("events", self.events.run)
        start("own-node", self.node.run)
        start("mirrors", self.mirrors.run)
        start("desired", self.api_pods.run)
        start("static-pods", self.static_pods.run)
        start("services", self.services.run)
        start("runtime-classes", self.runtime_classes.run)
        start("relist", self.relist.run)
        start("cri-events", lambda: cri_events.run(self._runtime, self.view, self.relist))
        start("status", self.reporter.run)
        self.storage.start(tasks, restart=restart)
        self.devices.start(tasks, restart=restart)
        tasks.start("desired-synced", self.api_pods.wait_synced)
        tasks.start("referenced", self.referenced.run)
        tasks.start("probes", self.probes.run)
        tasks.start("pods", self._run)

    async def _run(self) -> None:
        """Work on Pods once the runtime has been seen: what it already runs is not to be started again."""
        await self.relist.synced.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NODE_PATIENCE):
                await self.node.wait_synced()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.workers.run(), name="pod workers")
            # What runs and is wanted by nobody can be told only when everybody has said what they want.
            await self.desired.wait_synced()
            for uid in self.view.uids():
                self.workers.wake(uid)
            tasks.create_task(self.upkeep.run(), name="upkeep")

    def _wake(self, uid: Uid) -> None:
        self.workers.wake(uid)

    def _began(self, uid: Uid) -> None:
        self.workers.began(uid)

    def _is_echo(self, before: Pod | None, pod: Pod) -> bool:
        return self.reporter.wrote(before, pod)

    def _is_known(self, uid: Uid) -> bool:
        return (
            self.desired.get(uid) is not None
            or self.view.get(uid) is not None
            or self.workers.memories.get(uid) is not None
        )

    def _may_hold(self, uid: Uid) -> bool:
        """Whether a Pod may still use what it was given: of one not looked at yet that cannot be ruled out."""
        memory = self.workers.memories.get(uid)
        if memory is None:
            return not self.desired.synced or self.desired.get(uid) is not None
        return not memory.admitted or any(pod.uid == uid for pod in self._active())

    def _named(self, namespace: str, name: str) -> Pod | None:
        return next((pod for pod in self.workers.memories.known() if pod.key == (namespace, name)), None)

    def _closed(self) -> Rejected | None:
        return self.refuses_all()

    def _conditions(self) -> frozenset[str]:
        return self.under_pressure()

    def working(self) -> Iterator[Working]:
        """What each Pod's worker is at."""
        for uid in self.workers.memories:
            memory = self.workers.memories.get(uid)
            if memory is not None:
                wanted = self.desired.get(uid) is not None
                yield Working(
                    pod=memory.pod,
                    status=memory.status or memory.pod.status,
                    lifecycle=_lifecycle(memory),
                    origin="runtime_only" if memory.orphaned else "desired" if wanted else "orphan",
                    mounted=memory.volumes_ready,
                )

    def _active(self) -> list[Pod]:
        return self.workers.memories.active()

    def _staying(self) -> list[Pod]:
        return self.workers.memories.staying()

    def _running(self) -> list[Pod]:
        return self.workers.memories.active()

    def _handlers(self) -> tuple[RuntimeHandler, ...]:
        return self.health.status.handlers if self.health.status else ()

    def _content_changed(self, uid: Uid) -> None:
        self.workers.content_changed(uid)

    def _contents_changed(self, which: Callable[[Pod], bool]) -> None:
        for pod in self.workers.memories.active():
            if which(pod):
                self.workers.content_changed(pod.uid)

    def _facts(self, pod_ips: tuple[str, ...]) -> downward.Facts:
        node = self.node.current
        allocatable = dict(node.status.allocatable) if node else {}
        return downward.Facts(pod_ips=pod_ips, host_ips=self._options.node_ips, allocatable=allocatable)

    def _context(self, pod: Pod, seen: PodRuntime, previous: PodStatus) -> pod_status.StatusContext:
        messages = self._messages.of(seen.containers)
        return pod_status.StatusContext(
            previous=previous,
            host_ips=self._options.node_ips,
            runtime=container_status.Runtime(
                termination_messages=messages,
                recursive_read_only=any(h.recursive_read_only_mounts for h in self._handlers() if not h.name),
                devices=self.devices.devices.statuses(pod),
            ),
        )

    def _credential_plugins(self, client: Client, clock: SystemClock) -> CredentialPlugins | None:
        options = self._options
        if options.credential_providers is None or options.credential_programs is None:
            return None
        providers = credential_providers.load(options.credential_providers, options.credential_programs)
        accounts = ApiAccounts(client, Tokens(client, now=lambda: clock.now().timestamp()))
        return CredentialPlugins(providers, options.credential_programs, accounts=accounts, clock=clock)


class ServedPods:
    """The Pods as the server shows them."""

    def __init__(self, workers: PodWorkers) -> None:
        self._workers = workers

    def by_name(self, namespace: str, name: str) -> Pod | None:
        """The Pod of that name; of two, the one that is not about to end."""
        found = [pod for pod in self._workers.memories.known() if pod.key == (namespace, name)]
        return min(found, key=lambda pod: pod.metadata.deletion_timestamp is not None, default=None)

    def explain(self, namespace: str, name: str) -> tuple[str, ...] | None:
        """What the Pod of that name waits for, in sentences; None if it is not on this node."""
        pod = self.by_name(namespace, name)
        return self._workers.explain(pod.uid) if pod is not None else None

    def all(self) -> list[Pod]:
        """Every Pod of this node."""
        return self._workers.memories.known()


def _lifecycle(memory: PodMemory) -> Lifecycle:
    if memory.torn_down:
        return "terminated"
    return "sync" if memory.ending is None else "terminating"


def _access_policy(settings: Settings) -> image_access.Policy:
    if not settings.feature_gates.get("KubeletEnsureSecretPulledImages", True):
        return image_access.Policy("NeverVerify")
    return image_access.Policy(
        settings.image_pull_credentials_verification_policy, settings.preloaded_images_verification_allowlist
    )


def _limits(settings: Settings, of: Machine, *, unified: bool) -> cgroups.Machine:
    swap = cgroups.Swap(of.swap if settings.memory_swap.swap_behavior == "LimitedSwap" else 0)
    return cgroups.Machine(
        of.memory,
        enforce_cpu_quota=settings.cpu_cfs_quota,
        unified=cgroups.unified_files(single_process_oom_kill=settings.single_process_oom_kill) if unified else None,
        page_sizes=of.huge_pages,
        swap=swap if machine.can_limit_swap() else None,
    )


def _ids_per_pod(settings: Settings) -> int:
    return settings.user_namespaces.ids_per_pod if settings.user_namespaces else USER_IDS


def _node_dns(path: str) -> DNSConfig | None:
    if not path:
        return None
    try:
        return dns.parse(Path(path).read_text())
    except OSError:
        return DNSConfig()
