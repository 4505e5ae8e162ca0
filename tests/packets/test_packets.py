"""Every row of the Service API, walked through the ruleset values: who reaches which endpoint, from which address.

Each case is walked through the rulesets of both modes, nftables and iptables, for both families.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from nodekit.objects.meta import Key
from pyproxy.decide import chains, programs, topology
from pyproxy.decide import ruleset as nftables
from pyproxy.decide import trace as nftables_trace
from pyproxy.decide.iptables import ruleset as iptables
from pyproxy.decide.iptables import trace as iptables_trace
from pyproxy.decide.trace import Fate, Packet
from pyproxy.model import address as addresses
from pyproxy.model import keys
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.options import Mode
from pyproxy.model.ports import Balance, Endpoint, PortName, Protocol, ServicePort


def ip(text: str) -> Address:
    found = addresses.parse(text)
    assert found is not None
    return found


def cidr(text: str) -> Prefix:
    found = addresses.parse_prefix(text)
    assert found is not None
    return found


@dataclass(frozen=True)
class World:
    """The addresses of one family's cases."""

    family: Family
    node: Address
    pods: Prefix
    pod: Address
    other_pod: Address
    outsider: Address
    cluster_ip: Address
    external_ip: Address
    vip: Address
    near: Endpoint
    far: Endpoint
    services: Prefix
    stray: Address


V4 = World(
    Family.IPV4,
    ip("198.18.0.11"),
    cidr("198.19.1.0/24"),
    ip("198.19.1.7"),
    ip("198.19.2.7"),
    ip("203.0.113.9"),
    ip("198.18.64.1"),
    ip("192.0.2.1"),
    ip("192.0.2.2"),
    Endpoint(ip("198.19.1.20"), 8080, local=True),
    Endpoint(ip("198.19.2.20"), 8080),
    cidr("198.18.64.0/18"),
    ip("198.18.64.99"),
)
V6 = World(
    Family.IPV6,
    ip("fd00::11"),
    cidr("fd00:1::/64"),
    ip("fd00:1::7"),
    ip("fd00:2::7"),
    ip("fd00:99::9"),
    ip("fd00:64::1"),
    ip("fd00:c0::1"),
    ip("fd00:c0::2"),
    Endpoint(ip("fd00:1::20"), 8080, local=True),
    Endpoint(ip("fd00:2::20"), 8080),
    cidr("fd00:64::/112"),
    ip("fd00:64::99"),
)
WORLDS = [pytest.param(V4, id="IPv4"), pytest.param(V6, id="IPv6")]
SERVICE = Key("shop", "cart")
MODES: dict[Mode, tuple[Any, Any]] = {
    Mode.NFTABLES: (nftables, nftables_trace),
    Mode.IPTABLES: (iptables, iptables_trace),
}


@dataclass
class Node:
    """One node with one Service, and the packets that can be sent there."""

    world: World
    mode: Mode
    policy: chains.Policy = field(init=False)
    ruleset: Any = field(init=False)
    machine: Any = field(init=False)

    def __post_init__(self) -> None:
        w = self.world
        self.policy = chains.Policy(
            w.family,
            local_source=rs.SourceIn(w.pods),
            node_port_ips=(w.node,),
            service_cidrs=(w.services,),
        )
        rules, trace = MODES[self.mode]
        self.ruleset = rules.Ruleset(self.policy)
        self.machine = trace.Machine(local=frozenset({w.node}))
        self.machine.apply(self.ruleset.whole())

    def serve(self, *endpoints: Endpoint, protocol: Protocol = Protocol.TCP, **fields: object) -> None:
        port = ServicePort(PortName(SERVICE, "http", protocol), self.world.cluster_ip, 80)
        port = replace(port, **fields)  # type: ignore[arg-type]
        choice = topology.choose(port, endpoints, topology.Place("n1"))
        before = self.ruleset.programs.get(port.name)
        self.ruleset.put(port.name, programs.build(port, choice, node_ip=self.world.node, before=before))
        self.machine.apply(self.ruleset.take())

    def call(self, source: Address, destination: Address, port: int = 80, protocol: Protocol = Protocol.TCP) -> Fate:
        interface = "cni0" if source in self.world.pods else "eth0"
        return self.machine.send(Packet(source, destination, protocol, port, interface))

    def reached(self, source: Address, destination: Address, port: int = 80) -> set[bytes | None]:
        """The backends of enough connections to meet each slot, forgetting the client in between."""
        found = set()
        for draw in (*range(6), 100, 200):
            self.machine.draws = draw
            found.add(self.call(source, destination, port).backend)
            self.machine.forget_clients()
        return found


def packed(*endpoints: Endpoint) -> set[bytes | None]:
    return {keys.endpoint(endpoint.address, endpoint.port) for endpoint in endpoints}


@pytest.fixture(params=Mode, ids=lambda mode: mode.value)
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param


@pytest.fixture(params=WORLDS)
def node(request: pytest.FixtureRequest, mode: Mode) -> Node:
    return Node(request.param, mode)


def test_a_pod_reaches_all_endpoints_of_a_cluster_ip_under_its_own_address(node: Node) -> None:
    w = node.world
    node.serve(w.near, w.far)
    assert node.reached(w.pod, w.cluster_ip) == packed(w.near, w.far)
    assert not node.call(w.pod, w.cluster_ip).masqueraded


@pytest.mark.parametrize("who", ["outsider", "other_pod", "node"])
def test_whoever_is_no_pod_of_this_node_is_masqueraded_to_a_cluster_ip(node: Node, who: str) -> None:
    w = node.world
    node.serve(w.far)
    fate = node.call(getattr(w, who), w.cluster_ip)
    assert (fate.backend, fate.masqueraded, fate.mark) == (*packed(w.far), True, 0)


def test_masquerade_all_masquerades_pods_too(node: Node) -> None:
    w = node.world
    node.serve(w.far)
    node.ruleset.repolicy(replace(node.policy, masquerade_all=True))
    node.machine.apply(node.ruleset.take())
    assert node.call(w.pod, w.cluster_ip).masqueraded


def test_pods_can_be_told_by_their_interface(node: Node) -> None:
    w = node.world
    node.serve(w.far)
    node.ruleset.repolicy(replace(node.policy, local_source=rs.InputInterface("cni*")))
    node.machine.apply(node.ruleset.take())
    assert not node.call(w.pod, w.cluster_ip).masqueraded
    assert node.call(w.outsider, w.cluster_ip).masqueraded


def test_a_backend_that_calls_itself_is_masqueraded(node: Node) -> None:
    w = node.world
    node.serve(w.near)
    assert node.call(w.near.address, w.cluster_ip).masqueraded


def test_a_service_without_endpoints_refuses(node: Node) -> None:
    w = node.world
    node.serve(external_ips=(w.external_ip,), vips=(w.vip,), node_port=30080)
    for destination, port in ((w.cluster_ip, 80), (w.external_ip, 80), (w.vip, 80), (w.node, 30080)):
        assert node.call(w.outsider, destination, port).verdict == "reject"


def test_a_port_that_a_cluster_ip_does_not_have_is_refused(node: Node) -> None:
    w = node.world
    node.serve(w.far)
    assert node.call(w.pod, w.cluster_ip, 81).verdict == "reject"
    assert node.call(w.pod, w.cluster_ip, 80, Protocol.UDP).verdict == "reject"


def test_an_unallocated_address_of_the_service_range_is_dropped(node: Node) -> None:
    assert node.call(node.world.pod, node.world.stray).verdict == "drop"


def test_a_cluster_ip_held_by_this_machine_is_left_to_whoever_put_it_there(node: Node) -> None:
    w = node.world
    node.serve(w.far)
    node.machine.local |= {w.cluster_ip}
    assert node.call(w.pod, w.cluster_ip, 9253).verdict == "accept"


def test_internal_traffic_policy_local_keeps_to_this_node(node: Node) -> None:
    w = node.world
    node.serve(w.near, w.far, internal_local=True)
    assert node.reached(w.pod, w.cluster_ip) == packed(w.near)


def test_internal_traffic_policy_local_drops_without_local_endpoints_but_refuses_without_any(node: Node) -> None:
    w = node.world
    node.serve(w.far, internal_local=True)
    assert node.call(w.pod, w.cluster_ip).verdict == "drop"
    node.serve(internal_local=True)
    assert node.call(w.pod, w.cluster_ip).verdict == "reject"


EXTERNAL = [
    pytest.param({"node_port": 30080}, "node", 30080, id="NodePort"),
    pytest.param({"external_ips": "external_ip"}, "external_ip", 80, id="external IP"),
    pytest.param({"vips": "vip"}, "vip", 80, id="load balancer"),
]


def _fields(node: Node, fields: dict[str, object]) -> dict[str, object]:
    return {k: (getattr(node.world, v),) if isinstance(v, str) else v for k, v in fields.items()}


@pytest.mark.parametrize(("fields", "to", "port"), EXTERNAL)
def test_external_traffic_reaches_all_endpoints_masqueraded(node: Node, fields: dict, to: str, port: int) -> None:
    w = node.world
    node.serve(w.near, w.far, **_fields(node, fields))
    assert node.reached(w.outsider, getattr(w, to), port) == packed(w.near, w.far)
    assert node.call(w.outsider, getattr(w, to), port).masqueraded


@pytest.mark.parametrize(("fields", "to", "port"), EXTERNAL)
def test_external_policy_local_keeps_the_caller_and_the_node(node: Node, fields: dict, to: str, port: int) -> None:
    w = node.world
    node.serve(w.near, w.far, external_local=True, **_fields(node, fields))
    assert node.reached(w.outsider, getattr(w, to), port) == packed(w.near)
    assert not node.call(w.outsider, getattr(w, to), port).masqueraded


@pytest.mark.parametrize(("fields", "to", "port"), EXTERNAL)
def test_external_policy_local_is_bypassed_by_this_nodes_own_clients(
    node: Node, fields: dict, to: str, port: int
) -> None:
    w = node.world
    node.serve(w.far, external_local=True, **_fields(node, fields))
    assert node.call(w.outsider, getattr(w, to), port).verdict == "drop"
    pod, host = node.call(w.pod, getattr(w, to), port), node.call(w.node, getattr(w, to), port)
    assert (pod.backend, pod.masqueraded) == (*packed(w.far), False)
    assert (host.backend, host.masqueraded) == (*packed(w.far), True)


def test_source_ranges_guard_load_balancers_alone(node: Node) -> None:
    w = node.world
    node.serve(w.far, vips=(w.vip,), node_port=30080, source_ranges=(w.pods,))
    assert node.call(w.outsider, w.vip).verdict == "drop"
    assert node.call(w.pod, w.vip).backend in packed(w.far)
    assert node.call(w.outsider, w.node, 30080).backend in packed(w.far)
    assert node.call(w.outsider, w.cluster_ip).backend in packed(w.far)


def test_a_node_within_the_source_ranges_may_call_from_the_load_balancers_own_address(node: Node) -> None:
    w = node.world
    node.serve(w.far, vips=(w.vip,), source_ranges=(Prefix(w.node, w.family.value * 8),))
    assert node.call(w.vip, w.vip).backend in packed(w.far)


def test_node_ports_answer_only_on_the_chosen_addresses(node: Node) -> None:
    w = node.world
    node.serve(w.far, node_port=30080)
    node.machine.local |= {w.external_ip}
    assert node.call(w.outsider, w.external_ip, 30080).backend is None
    node.ruleset.repolicy(replace(node.policy, node_port_ips=None))
    node.machine.apply(node.ruleset.take())
    assert node.call(w.outsider, w.external_ip, 30080).backend in packed(w.far)


def test_node_ports_answer_on_loopback_where_iptables_is_told_so(node: Node) -> None:
    w = node.world
    loopback = ip("127.0.0.1" if w.family is Family.IPV4 else "::1")
    node.serve(w.far, node_port=30080)
    node.machine.local |= {loopback}
    for told in (False, True):
        node.ruleset.repolicy(replace(node.policy, node_port_ips=None, loopback_node_ports=told))
        node.machine.apply(node.ruleset.take())
        fate = node.call(loopback, loopback, 30080)
        answered = told and node.mode is Mode.IPTABLES and w.family is Family.IPV4
        assert fate == (Fate(backend=packed(w.far).pop(), masqueraded=True) if answered else Fate())


def test_neighbours_cannot_call_what_listens_on_loopback_though_its_routing_is_open() -> None:
    node, loopback = Node(V4, Mode.IPTABLES), ip("127.0.0.1")
    node.machine.local |= {loopback}
    node.ruleset.repolicy(replace(node.policy, node_port_ips=None, loopback_node_ports=True))
    node.machine.apply(node.ruleset.whole())
    assert node.call(V4.outsider, loopback, 10249).verdict == "drop"
    assert node.call(loopback, loopback, 10249).verdict == "accept"


def test_a_client_with_affinity_keeps_its_endpoint(node: Node) -> None:
    w = node.world
    node.serve(w.near, w.far, affinity_seconds=10)
    first = node.call(w.pod, w.cluster_ip).backend
    for draw in range(6):
        node.machine.draws = draw
        assert node.call(w.pod, w.cluster_ip).backend == first


def test_a_client_whose_endpoint_left_moves(node: Node) -> None:
    w = node.world
    node.serve(w.near, w.far, affinity_seconds=10)
    node.machine.draws = 0
    first = node.call(w.pod, w.cluster_ip).backend
    left = w.far if first in packed(w.near) else w.near
    node.serve(left, affinity_seconds=10)
    if node.mode is Mode.NFTABLES:  # its first try finds out and is refused; iptables has a list for each endpoint
        assert node.call(w.pod, w.cluster_ip).verdict == "drop"
    assert node.call(w.pod, w.cluster_ip).backend in packed(left)


def test_affinity_holds_on_node_ports(node: Node) -> None:
    w = node.world
    node.serve(w.near, w.far, affinity_seconds=10, node_port=30080)
    first = node.call(w.outsider, w.node, 30080).backend
    node.machine.draws = 1
    assert node.call(w.outsider, w.node, 30080).backend == first
    assert first is not None


def test_other_traffic_is_left_alone(node: Node) -> None:
    w = node.world
    node.serve(w.far, node_port=30080)
    assert node.call(w.pod, w.outsider, 443) == Fate()
    assert node.call(w.outsider, w.node, 22) == Fate()


def test_weights_give_nodes_their_share(node: Node) -> None:
    w = node.world
    far, near = replace(w.far, node="n2"), replace(w.near, node="n1")
    node.serve(near, far, node_weights=(("n1", 3),))
    found = []
    for draw in range(4):
        node.machine.draws = draw
        found.append(node.call(w.pod, w.cluster_ip).backend)
    assert sorted(found.count(b) for b in packed(w.near, w.far)) == [1, 3]
    node.serve(far, node_weights=(("n2", 0),))
    assert node.call(w.pod, w.cluster_ip).backend in packed(w.far)


def test_maglev_reaches_every_endpoint_by_way_of_its_table(node: Node) -> None:
    w = node.world
    node.serve(w.near, w.far, balance=Balance.MAGLEV, node_port=30080, external_local=True)
    assert node.reached(w.pod, w.cluster_ip) == packed(w.near, w.far)
    assert node.reached(w.outsider, w.node, 30080) == packed(w.near)


@pytest.mark.parametrize("protocol", [pytest.param(p, id=p.name) for p in Protocol])
def test_every_protocol_reaches_its_own_endpoints_alone(node: Node, protocol: Protocol) -> None:
    w = node.world
    node.serve(w.far, protocol=protocol, node_port=30080)
    for one in Protocol:
        fate = node.call(w.pod, w.cluster_ip, protocol=one)
        assert (fate.backend in packed(w.far)) == (one is protocol)
        assert (node.call(w.outsider, w.node, 30080, one).backend in packed(w.far)) == (one is protocol)
