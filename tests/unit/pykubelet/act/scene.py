"""A whole Pod loop over the fake runtime, in virtual time: what is wanted goes in, what happened comes out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterable
from pathlib import Path

import msgspec

from nodekit.aio.clock import VirtualClock
from nodekit.objects.meta import ObjectMeta
from nodekit.objects.node import Node as ApiNode
from nodekit.objects.times import of as time_of
from pykubelet.act.admission import NodeAdmission
from pykubelet.act.container_inputs import Inputs, Node
from pykubelet.act.containers import ContainerStarter, Reach
from pykubelet.act.devices import Devices
from pykubelet.act.executor import Executor
from pykubelet.act.image_actions import ImageActions
from pykubelet.act.images import Images
from pykubelet.act.isolation import PodIsolation
from pykubelet.act.pod_worker import Neighbours, PodWorkers
from pykubelet.act.pulled_images import PulledImages
from pykubelet.act.sandbox import Place, Sandboxes
from pykubelet.act.stopping import ContainerStopper
from pykubelet.act.user_namespaces import UserNamespaces
from pykubelet.cri.fake import FakeRuntime
from pykubelet.decide import cgroups, container_spec, dns, downward, pod_status, security
from pykubelet.decide.admission import Rejected
from pykubelet.decide.image_access import Policy
from pykubelet.desired.merge import Desired, Source
from pykubelet.model.container import Container
from pykubelet.model.devices import Device, PluginOptions
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.status import PodStatus
from pykubelet.observe import cri_events
from pykubelet.observe.relist import Relist
from pykubelet.observe.runtime_view import RuntimeView
from pykubelet.plugins.errors import PluginError


def pod(name: str = "web", *containers: str, policy: str = "Always", grace: int = 30) -> Pod:
    made = tuple(Container(name=c, image=f"{c}:1", image_pull_policy="IfNotPresent") for c in containers or ("main",))
    return Pod(
        metadata=ObjectMeta(namespace="default", name=name, uid=f"uid-{name}", generation=1),
        spec=PodSpec(containers=made, restart_policy=policy, termination_grace_period_seconds=grace),
    )


class Told:
    """What people and the API were told, and the parts of the machine that a test does not have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[tuple[str, str]] = []
        self.statuses: dict[Uid, PodStatus] = {}
        self.steps = 0
        self.finished: set[Uid] = set()
        self.prepared: list[Uid] = []
        self.torn_down: list[Uid] = []
        self.limited: list[int] = []
        self.forgotten: list[Uid] = []
        self.rejection: Rejected | None = None
        self.prepare_takes = 0.0
        self.volume_groups: tuple[int, ...] = ()
        self.synced = True

    # recorder, reporter, admission
    def event(self, pod: Pod, type_: str, reason: str, message: str, *, container: str = "") -> None:
        self.events.append((reason, container))

    def publish(self, uid: Uid, pod: Pod, status: PodStatus, *, finished: bool) -> None:
        self.statuses[uid] = status
        self.steps += 1
        if finished:
            self.finished.add(uid)

    def admit(self, pod: Pod) -> Rejected | None:
        return self.rejection

    def room_for(self, pod: Pod) -> tuple[Pod, ...] | None:
        return None

    def resize(self, pod: Pod) -> None:
        return None

    # volumes, cgroups, files, objects, services, prober
    async def prepare(self, pod: Pod) -> None:
        await asyncio.sleep(self.prepare_takes)
        self.prepared.append(pod.uid)

    async def tear_down(self, pod: Pod) -> None:
        self.torn_down.append(pod.uid)

    async def forget(self, pod: Pod) -> None:
        self.forgotten.append(pod.uid)

    def renew_at(self, uid: Uid) -> float | None:
        return None

    def host_path(self, pod: Pod, volume: str) -> str:
        return f"/volumes/{volume}"

    def groups(self, uid: Uid) -> tuple[int, ...]:
        return self.volume_groups if uid in self.prepared else ()

    def parent(self, pod: Pod) -> str:
        return f"/kubepods/{pod.uid}"

    async def create_pod(self, pod: Pod) -> str:
        return self.parent(pod)

    async def update_pod(self, pod: Pod, *, memory: bool = True) -> None:
        self.limited.append(cgroups.of_pod(pod).cpu_quota_us)

    async def remove_pod(self, pod: Pod) -> None:
        return None

    def etc_hosts(self, pod: Pod, pod_ips: tuple[str, ...]) -> str:
        return "/etc-hosts"

    def termination_log(self, pod: Pod, container: str) -> str:
        return "/log"

    def sub_path(self, pod: Pod, container: str, mount_index: int, *, volume: str, path: str) -> str:
        return f"{volume}/{path}"

    def all(self) -> tuple[()]:
        return ()


async def no_credentials(pod: Pod, image: str) -> tuple[()]:
    return ()


class NoProbes:
    def verdicts(self, uid: Uid) -> dict[object, object]:
        return {}

    def follow(self, pod: Pod, seen: object, *, address: str, ending: bool) -> None:
        return None

    def forget(self, uid: Uid) -> None:
        return None


class NoReferences:
    """What Pods refer to is known after `takes` seconds."""

    def __init__(self) -> None:
        self.takes = 0.0

    async def settled(self, uid: Uid, *, patience: float) -> None:
        await asyncio.sleep(min(self.takes, patience))

    def hold(self, uid: Uid, references: object) -> None:
        return None

    def release(self, uid: Uid) -> None:
        return None


class NoClasses:
    synced = True

    def handler(self, name: str) -> str | None:
        return None


class Plugins:
    """Device plugins without a wire: `answer` is what a container gets, `refusal` fails every allocation."""

    def __init__(self) -> None:
        self.offers: dict[str, dict[str, Device]] = {}
        self.options = PluginOptions()
        self.answer = b""
        self.refusal = ""
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    def expect(self, resources: Iterable[str]) -> None:
        for resource in resources:
            self.offers.setdefault(resource, {})

    def plugin(self, resource: str) -> "Plugins":
        return self

    async def preferred(self, available: Collection[str], *, included: Collection[str], size: int) -> tuple[str, ...]:
        self.calls.append(("preferred", tuple(sorted(available))))
        return tuple(sorted(available, reverse=True))

    async def allocate(self, ids: Collection[str]) -> bytes:
        self.calls.append(("allocate", tuple(ids)))
        if self.refusal:
            raise PluginError("Allocate", plugin="test", detail=self.refusal, final=True)
        return self.answer

    async def pre_start(self, ids: Collection[str]) -> None:
        self.calls.append(("pre_start", tuple(ids)))


class Reporter:
    def __init__(self, told: Told) -> None:
        self.publish = told.publish

    def forget(self, uid: Uid) -> None:
        return None


class Scene:
    """`runtime.world` bends the runtime; `want`, `delete` and `vanish` are what the API does.

    With an `api_node` Pods have to fit on it.
    """

    def __init__(
        self,
        folder: Path,
        runtime: FakeRuntime | None = None,
        *,
        api_node: ApiNode | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        clock = VirtualClock()
        self.clock = clock
        self.runtime = runtime or FakeRuntime(clock=clock)
        self.told = told = Told(folder)
        self.references = references = NoReferences()
        self.plugins = plugins or Plugins()
        self.devices = Devices(folder / "device-plugins", self.plugins, keeps=self._keeps)
        self.desired = Desired(wake=self._wake)
        self.view = RuntimeView(self.runtime, wake=self._wake, began=self._began)
        self.relist = Relist(self.view)
        cluster_dns = dns.ClusterDNS()
        isolation = PodIsolation(NoClasses(), UserNamespaces(folder), handlers=lambda: ())
        place = Place(folder / "pods", cluster_dns, lambda: ("198.18.0.11",), isolation)
        pulled = PulledImages(folder, Policy(), clock=clock)
        images = ImageActions(Images(self.runtime), told, credentials=no_credentials, pulled=pulled)
        sandboxes = Sandboxes(self.runtime, told, told, place=place)
        reach = Reach(view=self.view, recorder=told, clock=clock, host_ips=("198.18.0.11",), log_links=folder)
        facts = container_spec.NodeFacts(cgroups.Machine(1 << 30), security=security.Node())
        node = Node(facts, lambda ips: downward.Facts(pod_ips=ips), isolation)
        executor = Executor(
            sandboxes=sandboxes,
            starter=ContainerStarter(
                self.runtime,
                sandboxes=sandboxes,
                inputs=Inputs(told, told, told, told, self.devices, node=node),  # type: ignore[arg-type]
                reach=reach,
            ),
            stopper=ContainerStopper(self.runtime, reach, node=facts),
            images=images,
            objects=references,
            volumes=told,
            devices=self.devices,
            cgroups=told,
        )
        neighbours = Neighbours(
            wanted=self.desired,
            seen=self.view,
            prober=NoProbes(),  # type: ignore[arg-type]
            holder=references,
            reporter=Reporter(told),
            admission=told if api_node is None else self._admission(api_node),
            volumes=told,
            devices=self.devices,
            recorder=told,
        )
        self.workers = PodWorkers(
            neighbours,
            executor,
            context=lambda pod, seen, previous: pod_status.StatusContext(previous=previous),
            clock=clock,
        )

    def _admission(self, node: ApiNode) -> NodeAdmission:
        return NodeAdmission(
            node=lambda: node,
            active=lambda: self.workers.memories.active(),  # noqa: PLW0108
            staying=lambda: self.workers.memories.staying(),  # noqa: PLW0108
        )

    def _keeps(self, uid: Uid) -> bool:
        memory = self.workers.memories.get(uid)
        return memory is None or not memory.admitted or any(p.uid == uid for p in self.workers.memories.active())

    def _wake(self, uid: Uid) -> None:
        self.workers.wake(uid)

    def _began(self, uid: Uid) -> None:
        self.workers.began(uid)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The loops turn while within; leaving is like the end of the process."""
        tasks = [
            asyncio.create_task(self.relist.run()),
            asyncio.create_task(cri_events.run(self.runtime, self.view, self.relist)),
            asyncio.create_task(self._work()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        await self.relist.synced.wait()
        for source in Source:
            self.desired.source_synced(source)
        for uid in self.view.uids():
            self.workers.wake(uid)
        await self.workers.run()

    def want(self, pod: Pod) -> None:
        self.desired.put(pod, Source.API)

    def delete(self, pod: Pod, *, grace: int | None = None) -> None:
        seconds = pod.spec.termination_grace_period_seconds if grace is None else grace
        metadata = msgspec.structs.replace(
            pod.metadata,
            deletion_timestamp=time_of(self.clock.now().timestamp()),
            deletion_grace_period_seconds=seconds,
        )
        self.desired.put(msgspec.structs.replace(pod, metadata=metadata), Source.API)

    def vanish(self, pod: Pod) -> None:
        self.desired.drop(pod.uid, Source.API)

    def states(self) -> list[tuple[str, int, str]]:
        """Name, attempt and state of every container, oldest first."""
        return [(c.spec.name, c.spec.attempt, c.state.value) for c in self.runtime.world.containers.values()]

    def phase(self, pod: Pod) -> str:
        return self.told.statuses[pod.uid].phase

    def calls(self, rpc: str) -> int:
        return sum(1 for call, _ in self.runtime.world.calls if call == rpc)
