"""What is reported, against a genuine API server."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from nodekit.aio.clock import SystemClock
from nodekit.kube import auth, errors, patch
from nodekit.kube.client import Client, Patch, Selection
from nodekit.kube.transport import Transport
from nodekit.objects import event, lease, meta, node
from nodekit.objects import status as api_status
from pykubelet.desired.apiserver import ApiPods
from pykubelet.desired.merge import Desired, Source
from pykubelet.desired.own_node import OwnNode
from pykubelet.model.container import Container
from pykubelet.model.ids import Uid
from pykubelet.model.kinds import PODS
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.status import ContainerState, ContainerStatus, PodCondition, PodStatus, Running, Terminated
from pykubelet.report import mirror
from pykubelet.report.events import Recorder
from pykubelet.report.lease import NodeLease
from pykubelet.report.mirror import Mirrors
from pykubelet.report.pod_status import Reporter
from tests.contract import apiserver

pytestmark = [
    pytest.mark.skipif(
        "KUBEBUILDER_ASSETS" not in os.environ, reason="KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    # A server that is killed while TLS is being shut down leaves the rest to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

NODE = "n1"
NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[apiserver.Server]:
    with apiserver.running() as made:
        yield made


@contextlib.asynccontextmanager
async def running(*works: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work()) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Agent:
    """The reporting half of a kubelet on node n1."""

    def __init__(self, client: Client) -> None:
        self.client, self.clock = client, SystemClock()
        self.woken: list[Uid] = []
        self.desired = Desired(wake=self.woken.append)
        self.pods = ApiPods(client, self.desired, node_name=NODE, is_echo=self._is_echo)
        self.node = OwnNode(client, name=NODE)
        self.mirrors = Mirrors(client, self.pods, self.desired, node=self.node, clock=self.clock)
        self.reporter = Reporter(client, self.pods, self.mirrors, clock=self.clock)
        self.recorder = Recorder(client, self.node, clock=self.clock)

    def _is_echo(self, before: Pod | None, pod: Pod) -> bool:
        return self.reporter.wrote(before, pod)


@pytest.fixture
async def client(server: apiserver.Server) -> AsyncIterator[Client]:
    async with Transport(auth.load(server.kubeconfig("token", user={"token": apiserver.TOKEN}))) as transport:
        made = Client(transport)
        with contextlib.suppress(errors.AlreadyExists):
            await made.create(node.NODES, node.Node(metadata=meta.ObjectMeta(name=NODE)))
        yield made


@pytest.fixture
async def agent(client: Client) -> AsyncIterator[Agent]:
    made = Agent(client)
    async with running(made.pods.run, made.node.run, made.reporter.run, made.recorder.run):
        await made.pods.wait_synced()
        await made.node.wait_synced()
        yield made


async def until(check: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    # When a server is slow to come back the reporter has tried often, and waits up to 15 s before it tries again.
    async with asyncio.timeout(30):
        while not await check():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def create(agent: Agent, name: str, **spec: Any) -> Pod:
    """A new Pod that the agent's watch has seen."""
    body = PodSpec(containers=(Container(name="app", image="img:1"),), node_name=NODE, **spec)
    made = await agent.client.create(PODS, Pod(metadata=meta.ObjectMeta(name=name, namespace="default"), spec=body))

    async def seen() -> bool:
        found = agent.pods.get(made.key)
        return found is not None and found.uid == made.uid

    await until(seen)
    return made


def reported(phase: str, state: ContainerState) -> PodStatus:
    one = ContainerStatus(
        name="app", ready=False, restart_count=0, image="i", image_id="", state=state, last_state=ContainerState()
    )
    ready = PodCondition(type="Ready", status="False", last_transition_time=NOW)
    return PodStatus(phase=phase, container_statuses=(one,), conditions=(ready,), qos_class="BestEffort")


def change_of(old: Pod, new: Pod) -> Patch:
    change = patch.strategic(old, new)
    assert change is not None
    return change


RUNS = reported("Running", ContainerState(running=Running(started_at=NOW)))
ENDED = reported("Failed", ContainerState(terminated=Terminated(exit_code=137, reason="Error")))


async def test_the_latest_status_arrives_beside_what_others_own(agent: Agent) -> None:
    made = await create(agent, "beside")
    gate = PodCondition(type="example.com/gate", status="True", last_transition_time=NOW)
    with_gate = msgspec.structs.replace(made, status=PodStatus(phase="Pending", conditions=(gate,)))
    made = await agent.client.update(PODS, with_gate, subresource="status")
    agent.reporter.publish(made.uid, made, PodStatus(phase="Pending"), finished=False)
    agent.reporter.publish(made.uid, made, RUNS, finished=False)

    async def arrived() -> bool:
        return (await agent.client.get(PODS, made.key)).status.phase == "Running"

    await until(arrived)
    now = await agent.client.get(PODS, made.key)
    assert {c.type for c in now.status.conditions} == {"example.com/gate", "Ready"}
    assert now.status.container_statuses[0].state.running is not None


async def test_only_what_others_write_is_news(agent: Agent) -> None:
    made = await create(agent, "echo")
    for number in range(10):
        one = msgspec.structs.replace(RUNS.container_statuses[0], restart_count=number)
        status = msgspec.structs.replace(RUNS, container_statuses=(one,))
        agent.reporter.publish(made.uid, made, status, finished=False)

        async def arrived(number: int = number) -> bool:
            seen = agent.pods.get(made.key)
            return seen is not None and [one.restart_count for one in seen.status.container_statuses] == [number]

        await until(arrived)
    assert agent.woken.count(made.uid) == 1, "the Pod itself, and none of our reports"
    now = await agent.client.get(PODS, made.key)
    labelled = msgspec.structs.replace(now.metadata, labels={"a": "b"})
    await agent.client.patch(PODS, made.key, change_of(now, msgspec.structs.replace(now, metadata=labelled)))

    async def woken() -> bool:
        return agent.woken.count(made.uid) == 2

    await until(woken)


async def test_a_deleted_pod_is_told_of_and_then_removed(agent: Agent) -> None:
    made = await create(agent, "removed")
    await agent.client.delete(PODS, made.key)
    deleted = await agent.client.get(PODS, made.key)
    assert deleted.metadata.deletion_timestamp is not None
    agent.reporter.publish(made.uid, deleted, RUNS, finished=False)
    await asyncio.sleep(0.3)
    assert (await agent.client.get(PODS, made.key)).status.phase == "Running"
    agent.reporter.publish(made.uid, deleted, ENDED, finished=True)

    async def gone() -> bool:
        try:
            await agent.client.get(PODS, made.key)
        except errors.NotFound:
            return True
        return False

    await until(gone)


async def test_a_pod_made_anew_is_not_taken_for_its_predecessor(agent: Agent) -> None:
    old = await create(agent, "anew")
    at_once = api_status.DeleteOptions(grace_period_seconds=0)
    await agent.client.delete(PODS, old.key, at_once)
    new = await create(agent, "anew")
    agent.reporter.publish(old.uid, old, ENDED, finished=True)
    await asyncio.sleep(0.5)
    assert (await agent.client.get(PODS, new.key)).status.phase == "Pending"
    agent.reporter.publish(new.uid, new, RUNS, finished=False)

    async def arrived() -> bool:
        return (await agent.client.get(PODS, new.key)).status.phase == "Running"

    await until(arrived)


async def test_a_status_waits_for_the_server(agent: Agent, server: apiserver.Server) -> None:
    made = await create(agent, "waits")
    server.stop("kube-apiserver")
    agent.reporter.publish(made.uid, made, RUNS, finished=False)
    await asyncio.sleep(1.0)
    await asyncio.to_thread(server.start_apiserver)

    async def arrived() -> bool:
        return (await agent.client.get(PODS, made.key)).status.phase == "Running"

    await until(arrived)


def static_pod(uid: str, image: str) -> Pod:
    annotations = {mirror.HASH: uid, mirror.SOURCE: "file"}
    metadata = meta.ObjectMeta(name="static-n1", namespace="default", uid=uid, annotations=annotations)
    return Pod(metadata=metadata, spec=PodSpec(containers=(Container(name="app", image=image),), node_name=NODE))


async def test_a_static_pod_is_shown_replaced_and_removed(agent: Agent) -> None:
    key = meta.Key("default", "static-n1")

    async def shown(uid: str, phase: str) -> bool:
        try:
            found = await agent.client.get(PODS, key)
        except errors.NotFound:
            return not uid
        return found.metadata.annotations.get(mirror.MIRROR) == uid and found.status.phase == phase

    first, second = static_pod("aaa", "img:1"), static_pod("bbb", "img:2")
    agent.desired.put(first, Source.FILE)
    agent.reporter.publish(first.uid, first, RUNS, finished=False)
    await until(lambda: shown("aaa", "Running"))
    owner = (await agent.client.get(PODS, key)).metadata.owner_references[0]
    assert (owner.kind, owner.name, owner.controller) == ("Node", NODE, True)

    agent.desired.drop(first.uid, Source.FILE)
    agent.desired.put(second, Source.FILE)
    agent.reporter.publish(first.uid, first, ENDED, finished=True)
    agent.reporter.forget(first.uid)
    agent.reporter.publish(second.uid, second, RUNS, finished=False)
    await until(lambda: shown("bbb", "Running"))

    agent.desired.drop(second.uid, Source.FILE)
    agent.reporter.publish(second.uid, second, ENDED, finished=True)
    await until(lambda: shown("", ""))


async def test_an_event_says_which_container_it_is_about(agent: Agent) -> None:
    made = await create(agent, "eventful")
    agent.recorder.event(made, "Warning", "BackOff", "back-off", container="app")
    agent.recorder.of_node("Normal", "Starting", "Starting kubelet.")

    async def arrived() -> bool:
        return len((await agent.client.list(event.EVENTS, Selection(namespace="default"))).items) >= 2

    await until(arrived)
    about = {
        found.reason: (found.involved_object.field_path, found.source.component, found.source.host)
        for found in (await agent.client.list(event.EVENTS, Selection(namespace="default"))).items
    }
    assert about["BackOff"] == ("spec.containers{app}", "kubelet", NODE)
    assert about["Starting"] == ("", "kubelet", NODE)


async def test_the_lease_belongs_to_the_node_and_is_renewed(agent: Agent) -> None:
    renewer = NodeLease(agent.client, agent.node, duration=40, clock=agent.clock)
    key = meta.Key("kube-node-lease", NODE)
    assert await renewer.renew()
    first = await agent.client.get(lease.LEASES, key)
    assert [owner.kind for owner in first.metadata.owner_references] == ["Node"]
    assert (first.spec.holder_identity, first.spec.lease_duration_seconds) == (NODE, 40)
    assert await renewer.renew()
    second = await agent.client.get(lease.LEASES, key)
    assert second.spec.renew_time is not None
    assert first.spec.renew_time is not None
    assert second.spec.renew_time > first.spec.renew_time
    await agent.client.delete(lease.LEASES, key)
    assert await renewer.renew()
