"""The Node's registration and status, against a genuine API server."""

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from nodekit.aio.clock import SystemClock
from nodekit.kube import auth, errors
from nodekit.kube.client import Client
from nodekit.kube.transport import Transport
from nodekit.objects import event, meta
from nodekit.objects.node import NODES, Node, NodeCondition, NodeStatus
from pykubelet.decide.node_status import NodeFacts, NodeSettings
from pykubelet.desired.own_node import OwnNode
from pykubelet.model.machine import Machine
from pykubelet.report.events import Recorder
from pykubelet.report.node import NodeReporter, Timing
from tests.contract import apiserver
from tests.contract.test_report import running, until

pytestmark = [
    pytest.mark.skipif(
        "KUBEBUILDER_ASSETS" not in os.environ, reason="KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    # A server that is killed while TLS is being shut down leaves the rest to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

KEY = meta.Key("", "n2")
SETTINGS = NodeSettings(name="n2", hostname="n2", version="v1.37.2+pykubelet.0.1.0", labels={"disk": "ssd"})
FACTS = NodeFacts(
    machine=Machine(cores=2, memory=1 << 30, boot_id="boot-1", architecture="amd64"),
    addresses=("198.18.0.11", "198.18.0.12"),
    storage=1 << 30,
    problems=("network state unknown",),
)


class Reporting:
    """A NodeReporter whose facts a test writes."""

    def __init__(self, client: Client) -> None:
        self.client, self.facts = client, FACTS
        clock = SystemClock()
        self.node = OwnNode(client, name="n2")
        self.recorder = Recorder(client, self.node, clock=clock)
        self.reporter = NodeReporter(
            client,
            self.node,
            self.recorder,
            settings=SETTINGS,
            gather=self.gather,
            timing=Timing(check=5.0),
            clock=clock,
        )
        self.node.subscribe(self.reporter.node_changed)

    async def gather(self) -> NodeFacts:
        return self.facts

    async def condition(self, kind: str) -> NodeCondition | None:
        try:
            found = await self.client.get(NODES, KEY)
        except errors.NotFound:
            return None
        return next((condition for condition in found.status.conditions if condition.type == kind), None)

    async def is_ready(self, status: str) -> bool:
        found = await self.condition("Ready")
        return found is not None and found.status == status


@pytest.fixture(scope="module")
def server() -> Iterator[apiserver.Server]:
    with apiserver.running() as made:
        yield made


@pytest.fixture
async def reporting(server: apiserver.Server) -> AsyncIterator[Reporting]:
    async with Transport(auth.load(server.kubeconfig("token", user={"token": apiserver.TOKEN}))) as transport:
        client = Client(transport)
        with contextlib.suppress(errors.NotFound):
            await client.delete(NODES, KEY)
        made = Reporting(client)
        async with running(made.node.run, made.recorder.run, made.reporter.run):
            await until(lambda: made.is_ready("False"))
            yield made


async def test_a_node_is_registered_and_becomes_ready_at_once(reporting: Reporting) -> None:
    made = await reporting.client.get(NODES, KEY)
    assert made.metadata.labels["disk"] == "ssd"
    assert [address.address for address in made.status.addresses] == ["198.18.0.11", "198.18.0.12", "n2"]
    reporting.facts = dataclasses.replace(FACTS, problems=())
    reporting.reporter.wake()
    async with asyncio.timeout(2):
        await until(lambda: reporting.is_ready("True"))

    async def told() -> bool:
        found = await reporting.client.list(event.EVENTS)
        reasons = {one.reason for one in found.items if one.involved_object.name == "n2"}
        return {"Starting", "NodeHasSufficientMemory", "NodeReady"} <= reasons

    await until(told)


async def test_one_address_fewer_is_told(reporting: Reporting) -> None:
    reporting.facts = dataclasses.replace(FACTS, addresses=("198.18.0.11",))
    reporting.reporter.wake()

    async def fewer() -> bool:
        found = await reporting.client.get(NODES, KEY)
        return [address.address for address in found.status.addresses] == ["198.18.0.11", "n2"]

    await until(fewer)


async def test_what_others_write_stays(reporting: Reporting) -> None:
    found = await reporting.client.get(NODES, KEY)
    theirs = NodeCondition(type="NetworkUnavailable", status="False", reason="RouteCreated")
    status = msgspec.structs.replace(found.status, conditions=(*found.status.conditions, theirs))
    await reporting.client.update(NODES, msgspec.structs.replace(found, status=status), subresource="status")
    reporting.facts = dataclasses.replace(FACTS, problems=())
    reporting.reporter.wake()
    await until(lambda: reporting.is_ready("True"))
    assert await reporting.condition("NetworkUnavailable") is not None


async def test_what_somebody_overwrote_is_put_right(reporting: Reporting) -> None:
    found = await reporting.client.get(NODES, KEY)
    blank = msgspec.structs.replace(found, status=NodeStatus())
    await reporting.client.update(NODES, blank, subresource="status")

    async def right() -> bool:
        return str((await reporting.client.get(NODES, KEY)).status.capacity.get("pods", "")) == "110"

    await until(right)


async def test_a_deleted_node_is_registered_anew(reporting: Reporting) -> None:
    before = (await reporting.client.get(NODES, KEY)).metadata.uid
    await reporting.client.delete(NODES, KEY)

    async def back() -> bool:
        try:
            return (await reporting.client.get(NODES, KEY)).metadata.uid != before
        except errors.NotFound:
            return False

    await until(back)


async def test_a_node_that_is_there_is_taken_over(server: apiserver.Server) -> None:
    async with Transport(auth.load(server.kubeconfig("token", user={"token": apiserver.TOKEN}))) as transport:
        client = Client(transport)
        with contextlib.suppress(errors.NotFound):
            await client.delete(NODES, KEY)
        await client.create(NODES, Node(metadata=meta.ObjectMeta(name="n2", labels={"kubernetes.io/hostname": "old"})))
        made = Reporting(client)
        async with running(made.node.run, made.recorder.run, made.reporter.run):
            await until(lambda: made.is_ready("False"))
            assert (await client.get(NODES, KEY)).metadata.labels["kubernetes.io/hostname"] == "n2"
