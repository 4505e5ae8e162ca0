"""Puts the Pod loop together, and the wake-ups between its parts.

    api                 what is wanted of this node, and what is told of it
    observe             what is really there
    storage, devices, images
                        what Pods are given: volumes, devices, images
    containers          what makes their sandboxes and containers of all that
    upkeep              what clears up after them

The workers stand in the middle. A part tells them no more than which Pod to look at again; what it wants to know of
Pods it asks the workers. `node` puts what concerns the Node as a whole around all this, and `app` starts it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import SystemClock
from nodekit.aio.tasks import Tasks
from nodekit.kube.client import Client
from pykubelet.act.admission import NodeAdmission
from pykubelet.act.pod_worker import Neighbours, PodWorkers
from pykubelet.config.settings import Settings
from pykubelet.cri import runtime_api
from pykubelet.decide import container_status, pod_status
from pykubelet.decide.admission import Rejected
from pykubelet.model.ids import Uid
from pykubelet.model.observed import PodRuntime
from pykubelet.model.pod import Pod
from pykubelet.model.status import PodStatus
from pykubelet.observe import machine
from pykubelet.observe.runtime_health import RuntimeHealth
from pykubelet.options import Options
from pykubelet.wiring.api import ApiLoop
from pykubelet.wiring.containers import Containers
from pykubelet.wiring.devices import DeviceLoop
from pykubelet.wiring.images import Pulls
from pykubelet.wiring.observe import ObserveLoop
from pykubelet.wiring.served_pods import ServedPods
from pykubelet.wiring.storage import Storage
from pykubelet.wiring.upkeep import Upkeep

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
        self._host_ips = options.node_ips
        self.under_pressure: Callable[[], frozenset[str]] = frozenset
        """The conditions of the node that keep new Pods away: MemoryPressure, DiskPressure, PIDPressure."""
        self.refuses_all: Callable[[], Rejected | None] = lambda: None
        """Why no Pod may come at all."""
        self.api = ApiLoop(settings, options, client=client, wake=self._wake, content_changed=self._content_changed)
        self.seen = ObserveLoop(runtime, health, events=self.api.events, wake=self._wake, began=self._began)
        self.storage = Storage(
            settings,
            options,
            client=client,
            api=self.api,
            memory=self.seen.machine.memory,
            wake=self._content_changed,
            changed=self._contents_changed,
        )
        self.devices = DeviceLoop(
            options, keeps=self._may_hold, active=self._active, named=self._named, wake=self._wake
        )
        self.pulls = Pulls(settings, options, client=client, service=image_service, api=self.api)
        self.api.reporter.on_forget.append(self.pulls.forget)
        self.containers = Containers(
            settings,
            options,
            api=self.api,
            seen=self.seen,
            images=self.pulls.actions,
            storage=self.storage,
            devices=self.devices,
            running=self._active,
        )
        self.upkeep = Upkeep(
            settings,
            services=services,
            pulled=self.pulls.records,
            holds=(self.storage.volumes, self.storage.files, self.containers.cgroups),
            shelves=self.api.known.shelves,
            seen=(self.seen.view, self.api.events),
            known=self._is_known,
        )
        self.workers = PodWorkers(
            self._neighbours(settings),
            self.containers.executor,
            context=self._context,
            clock=SystemClock(),
            max_restart_delay=settings.crash_loop_back_off.max_container_restart_period or 300.0,
        )
        self.served = ServedPods(self.workers, self.api.desired)

    def _neighbours(self, settings: Settings) -> Neighbours:
        return Neighbours(
            wanted=self.api.desired,
            seen=self.seen.view,
            prober=self.seen.probes,
            holder=self.api.referenced,
            reporter=self.api.reporter,
            admission=NodeAdmission(
                node=lambda: self.api.node.current,
                active=self._active,
                staying=self._staying,
                conditions=self._conditions,
                closed=self._closed,
                devices=self.devices.devices.taken_by,
                apparmor=machine.has_apparmor(),
                unsafe_sysctls=settings.allowed_unsafe_sysctls,
            ),
            volumes=self.storage.volumes,
            devices=self.devices.devices,
            recorder=self.api.events,
        )

    async def __aenter__(self) -> Self:
        await self.containers.cgroups.ensure_roots()
        await self.seen.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.seen.__aexit__(kind, error, trace)

    def start(self, tasks: Tasks, *, restart: Backoff) -> None:
        """Have it all run."""
        self.api.start(tasks, restart=restart)
        self.seen.start(tasks, restart=restart)
        self.storage.start(tasks, restart=restart)
        self.devices.start(tasks, restart=restart)
        tasks.start("pods", self._run)

    async def _run(self) -> None:
        """Work on Pods once the runtime has been seen: what it already runs is not to be started again."""
        await self.seen.relist.synced.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NODE_PATIENCE):
                await self.api.node.wait_synced()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.workers.run(), name="pod workers")
            # What runs and is wanted by nobody can be told only when everybody has said what they want.
            await self.api.desired.wait_synced()
            for uid in self.seen.view.uids():
                self.workers.wake(uid)
            tasks.create_task(self.upkeep.run(), name="upkeep")

    def _wake(self, uid: Uid) -> None:
        self.workers.wake(uid)

    def _began(self, uid: Uid) -> None:
        self.workers.began(uid)

    def _content_changed(self, uid: Uid) -> None:
        self.workers.content_changed(uid)

    def _contents_changed(self, which: Callable[[Pod], bool]) -> None:
        for pod in self._active():
            if which(pod):
                self.workers.content_changed(pod.uid)

    def _active(self) -> list[Pod]:
        return self.workers.memories.active()

    def _staying(self) -> list[Pod]:
        return self.workers.memories.staying()

    def _conditions(self) -> frozenset[str]:
        return self.under_pressure()

    def _closed(self) -> Rejected | None:
        return self.refuses_all()

    def _named(self, namespace: str, name: str) -> Pod | None:
        return next((pod for pod in self.workers.memories.known() if pod.key == (namespace, name)), None)

    def _is_known(self, uid: Uid) -> bool:
        return (
            self.api.desired.get(uid) is not None
            or self.seen.view.get(uid) is not None
            or self.workers.memories.get(uid) is not None
        )

    def _may_hold(self, uid: Uid) -> bool:
        """Whether a Pod may still use what it was given: of one not looked at yet that cannot be ruled out."""
        memory = self.workers.memories.get(uid)
        if memory is None:
            return not self.api.desired.synced or self.api.desired.get(uid) is not None
        return not memory.admitted or any(pod.uid == uid for pod in self._active())

    def _context(self, pod: Pod, seen: PodRuntime, previous: PodStatus) -> pod_status.StatusContext:
        return pod_status.StatusContext(
            previous=previous,
            host_ips=self._host_ips,
            runtime=container_status.Runtime(
                termination_messages=self.seen.messages.of(seen.containers),
                recursive_read_only=any(h.recursive_read_only_mounts for h in self.seen.handlers() if not h.name),
                devices=self.devices.devices.statuses(pod),
            ),
        )
