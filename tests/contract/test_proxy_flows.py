"""Connections that were there before a change: what the sync loop makes conntrack forget, seen by their clients."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from nodekit.aio.clock import SystemClock
from nodekit.objects.meta import Key
from pyproxy.act.conntrack.flows import Conntrack
from pyproxy.act.nftables.writer import Writer
from pyproxy.act.sync import Sync
from pyproxy.decide import chains, topology
from pyproxy.decide.ruleset import Ruleset
from pyproxy.model.address import Address, Family
from pyproxy.model.ports import Endpoint, PortName, Protocol, ServicePort
from tests.contract import sctp
from tests.contract.proxy_lab import NODE, OUTSIDER, POD, PORT, Node, ip, open_socket

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
SERVICE = Key("ns", "web")
NODE_PORT = 30080
CASES = [Protocol.UDP, Protocol.SCTP]
each_protocol = pytest.mark.parametrize("protocol", [pytest.param(p, id=p.name) for p in CASES])


@dataclass
class Cluster:
    """One Service, if any, and the backends it has now; the loop under test brings the kernel there."""

    node: Node
    conntrack: Conntrack
    protocol: Protocol = Protocol.UDP
    backends: tuple[str, ...] = ()
    port: ServicePort | None = None
    forgotten: int = 0
    sync: Sync = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another loop, that knows nothing of what was."""
        family = self.node.plan.family
        writer = Writer(self.node.kernel)
        self.sync = Sync(self, writer, Ruleset, families=[family], clock=SystemClock(), conntrack=self.conntrack)
        self.sync.on_forgotten(self._count)
        asyncio.run(self.sync.sync())
        self.forgotten = 0

    def serve(self, *backends: str, **fields: object) -> None:
        """The Service, with these backends."""
        self.backends = backends
        made = ServicePort(PortName(SERVICE, "", self.protocol), ip(self.node.plan.cluster_ip), 80)
        self.port = replace(made, node_port=NODE_PORT, **fields)  # type: ignore[arg-type]
        self._bring()

    def remove(self) -> None:
        """No Service any more."""
        self.port = None
        self._bring()

    def _bring(self) -> None:
        self.sync.wake(SERVICE)
        asyncio.run(self.sync.sync())

    def _count(self, family: Family, seconds: float, flows: int) -> None:
        self.forgotten += flows

    # What the loop asks of the cluster.

    def services(self) -> Iterable[Key]:
        return [SERVICE] if self.port is not None else []

    def ports(self, service: Key, family: Family) -> Iterable[ServicePort]:
        return [self.port] if self.port is not None else []

    def endpoints(self, port: PortName, family: Family) -> tuple[Endpoint, ...]:
        return tuple(Endpoint(ip(self.node.plan.hosts[b]), PORT) for b in self.backends)

    def place(self) -> topology.Place:
        return topology.Place("n")

    def node_ip(self, family: Family) -> Address | None:
        return None

    def machine_ips(self) -> Iterable[Address]:
        return self.node.ruleset.policy.node_port_ips or ()

    def policy(self, family: Family) -> chains.Policy:
        return self.node.ruleset.policy


@pytest.fixture
def cluster(node: Node) -> Iterator[Cluster]:
    node.lab.forget_flows()
    conntrack = Conntrack(node.lab.name(NODE))
    try:
        yield Cluster(node, conntrack)
    finally:
        conntrack.close()


@contextlib.contextmanager
def client(node: Node, protocol: Protocol, *, node_port: bool = False) -> Iterator[Callable[[], str]]:
    """A client that asks, from the same port each time, who answers."""
    host, address, port = (POD, node.plan.cluster_ip, 80)
    if node_port:
        host, address, port = (OUTSIDER, node.plan.hosts[NODE], NODE_PORT)
    family = socket.AF_INET6 if node.plan.family is Family.IPV6 else socket.AF_INET
    with node.lab.inside(host):
        one = open_socket(protocol, family)
    with one:
        one.connect((address, port))
        if protocol is Protocol.TCP:
            one.recv(200)  # the greeting
        association = sctp.Client(one, port) if protocol is Protocol.SCTP else None

        def ask() -> str:
            try:
                if association is not None:
                    association.begin()
                    return association.ask().split()[0]
                one.send(b"?")
                return one.recv(200).decode().split()[0]
            except OSError as error:
                return type(error).__name__

        yield ask


@each_protocol
@pytest.mark.parametrize("node_port", [pytest.param(False, id="ClusterIP"), pytest.param(True, id="NodePort")])
def test_flows_to_a_gone_backend_find_another(cluster: Cluster, protocol: Protocol, node_port: bool) -> None:
    cluster.protocol = protocol
    cluster.serve("b1")
    with client(cluster.node, protocol, node_port=node_port) as ask:
        assert ask() == "b1"
        cluster.serve("b1", "b2", "b3")
        assert {ask() for _ in range(5)} == {"b1"}  # it still serves those it has
        cluster.serve("b2")
        assert ask() == "b2"
        assert cluster.forgotten == 1


@each_protocol
def test_flows_to_the_last_backend_are_refused_when_it_is_gone(cluster: Cluster, protocol: Protocol) -> None:
    cluster.protocol = protocol
    cluster.serve("b1")
    with client(cluster.node, protocol) as ask:
        assert ask() == "b1"
        cluster.serve()
        assert ask() == "ConnectionRefusedError"
        cluster.serve("b2")
        assert ask() == "b2"


@each_protocol
def test_flows_of_a_former_service_find_the_new_one_with_its_address(cluster: Cluster, protocol: Protocol) -> None:
    cluster.protocol = protocol
    cluster.serve("b1")
    with client(cluster.node, protocol) as ask, client(cluster.node, protocol, node_port=True) as ask_node:
        assert (ask(), ask_node()) == ("b1", "b1")
        cluster.remove()
        cluster.serve("b2")
        assert (ask(), ask_node()) == ("b2", "b2")
        assert cluster.forgotten == 2


def test_flows_that_found_nobody_before_the_service_came_find_it(cluster: Cluster) -> None:
    with client(cluster.node, Protocol.UDP, node_port=True) as ask:
        assert ask() == "ConnectionRefusedError"  # by the node itself: nothing listens there
        cluster.serve("b1")
        assert ask() == "b1"


@each_protocol
def test_flows_to_backends_of_the_past_are_found_at_the_start(cluster: Cluster, protocol: Protocol) -> None:
    cluster.protocol = protocol
    cluster.serve("b1")
    with client(cluster.node, protocol) as ask:
        assert ask() == "b1"
        cluster.backends = ("b2",)  # while no proxy runs
        cluster.restart()
        assert ask() == "b2"


@pytest.mark.parametrize(
    ("fields", "afterwards"),
    [
        pytest.param({}, "b1", id="it goes on when the Service asks for nothing"),
        pytest.param(
            {"reset_connections": True}, "ConnectionResetError", id="it is reset when the Service asks for it"
        ),
    ],
)
def test_a_tcp_connection_to_a_backend_that_left(cluster: Cluster, fields: dict[str, object], afterwards: str) -> None:
    cluster.protocol = Protocol.TCP
    cluster.serve("b1", **fields)
    with client(cluster.node, Protocol.TCP) as ask:
        assert ask() == "b1"
        cluster.serve("b1", "b2", **fields)
        assert ask() == "b1"
        cluster.serve("b2", **fields)
        assert ask() == afterwards
