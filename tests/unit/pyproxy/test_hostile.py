"""Objects nobody would write: whatever an API server might let through becomes rules or nothing, never an error."""

from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodekit.objects import codec
from pyproxy.decide import chains, endpoints, programs, service_ports, topology
from pyproxy.decide import ruleset as nftables
from pyproxy.decide import trace as nftables_trace
from pyproxy.decide.iptables import ruleset as iptables
from pyproxy.decide.iptables import trace as iptables_trace
from pyproxy.model import address as addresses
from pyproxy.model import service
from pyproxy.model.address import Family
from pyproxy.model.options import Mode

NODE: Final = {Family.IPV4: "192.0.2.1", Family.IPV6: "fd00:2::1"}
CLIENT: Final = {Family.IPV4: "10.2.0.1", Family.IPV6: "fd00:3::1"}
BYSTANDER: Final = {Family.IPV4: "10.0.0.200", Family.IPV6: "fd00::c8"}
BACKEND: Final = {Family.IPV4: "10.1.0.200", Family.IPV6: "fd00:1::c8"}
NODE_PORT: Final = 30001
# Never an address of a Pod or of the node: who may claim those as external IPs gets them, as with kube-proxy.
ADDRESSES = st.sampled_from(
    [*BYSTANDER.values(),
     "10.0.0.1", "10.0.0.2", "010.0.0.1", "fd00::1", "FD00:0::1", "::ffff:10.0.0.1", "fe80::1%eth0", "", "None", "x",
     "1.2.3", "256.0.0.1", "10.0.0.1/24", "0.0.0.0", "::", "127.0.0.1", "\u0661.2.3.4"]
)  # fmt: skip
CIDRS = st.sampled_from(["10.0.0.0/8", " 10.1.0.0/16 ", "10.0.0.0/33", "0.0.0.0/0", "fd00::/8", "::/0", "/", "", "x/y"])
NAMES = st.sampled_from(["", "a", "b", "a" * 253, "ünïcode"])
NUMBERS = st.sampled_from([0, 1, 80, NODE_PORT, 65535, 65536, -1, 2**31])
PROTOCOLS = st.sampled_from(["TCP", "UDP", "SCTP", "tcp", "", "QUIC"])
MAYBE = st.sampled_from([None, True, False])


each_mode = pytest.mark.parametrize("mode", [pytest.param(mode, id=mode.value) for mode in Mode])


def some(strategy: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, max_size=most)


def table(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


services = table(
    metadata=table(name=NAMES, namespace=NAMES, labels=st.dictionaries(NAMES, NAMES, max_size=2)),
    spec=table(
        type=st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "", "New"]),
        clusterIP=ADDRESSES,
        clusterIPs=some(ADDRESSES),
        externalIPs=some(ADDRESSES),
        ports=some(
            st.fixed_dictionaries(
                {"port": NUMBERS}, optional={"name": NAMES, "protocol": PROTOCOLS, "nodePort": NUMBERS}
            )
        ),
        sessionAffinity=st.sampled_from(["None", "ClientIP", "x"]),
        sessionAffinityConfig=table(clientIP=table(timeoutSeconds=st.sampled_from([None, 0, 1, -5, 86400]))),
        loadBalancerSourceRanges=some(CIDRS),
        internalTrafficPolicy=st.sampled_from([None, "Local", "Cluster", ""]),
        externalTrafficPolicy=st.sampled_from(["Local", "Cluster", ""]),
        healthCheckNodePort=NUMBERS,
    ),
    status=table(
        loadBalancer=table(ingress=some(table(ip=ADDRESSES, ipMode=st.sampled_from([None, "VIP", "Proxy", "x"]))))
    ),
)
slices = table(
    metadata=table(
        name=NAMES, namespace=NAMES, labels=st.fixed_dictionaries({}, optional={service.SERVICE_NAME_LABEL: NAMES})
    ),
    addressType=st.sampled_from(["IPv4", "IPv6", "FQDN", ""]),
    endpoints=some(
        table(
            addresses=some(ADDRESSES),
            conditions=table(ready=MAYBE, serving=MAYBE, terminating=MAYBE),
            nodeName=st.sampled_from([None, "", "n1"]),
            hints=st.one_of(st.none(), table(forZones=some(table(name=NAMES)), forNodes=some(table(name=NAMES)))),
        ),
        5,
    ),
    ports=some(table(name=st.one_of(st.none(), NAMES), port=st.one_of(st.none(), NUMBERS), protocol=PROTOCOLS)),
)


MODES: Final[dict[Mode, tuple[Any, Any]]] = {
    Mode.NFTABLES: (nftables, nftables_trace),
    Mode.IPTABLES: (iptables, iptables_trace),
}


class Node:
    """A family's ruleset and a fake kernel that refuses what the real one would; a bystander is served there."""

    def __init__(self, family: Family, mode: Mode) -> None:
        rules, trace = MODES[mode]
        self.family = family
        address = addresses.parse(NODE[family])
        assert address is not None
        self.node = address
        self.ruleset = rules.Ruleset(chains.Policy(family, node_port_ips=(address,)))
        self.machine = trace.Machine(local=frozenset({address}))
        self.machine.apply(self.ruleset.whole())
        self.put(codec.of_builtins(service.Service, bystander(family)), [bystander_slice(family)])
        self.backend = self.bystander()
        assert self.backend is not None

    def put(self, found: service.Service, sliced: list[service.EndpointSlice]) -> None:
        """What the loop does with a Service that has changed."""
        read = [endpoints.read(one, owner, "n1") for one in sliced if (owner := endpoints.owner(one)) is not None]
        for port in service_ports.read(found, self.family):
            merged = endpoints.merge(read, port.name, self.family)
            choice = topology.choose(port, merged, topology.Place("n1", "z"))
            program = programs.build(port, choice, node_ip=None, before=self.ruleset.programs.get(port.name))
            self.ruleset.put(port.name, program)
            self.machine.apply(self.ruleset.take())

    def bystander(self) -> bytes | None:
        """Where a client of the bystander gets, by its ClusterIP and by its NodePort."""
        client, address = addresses.parse(CLIENT[self.family]), addresses.parse(BYSTANDER[self.family])
        assert client is not None
        assert address is not None
        (reached,) = {
            self.machine.send(nftables_trace.Packet(client, address, 6, 80)).backend,
            self.machine.send(nftables_trace.Packet(client, self.node, 6, NODE_PORT)).backend,
        }
        assert reached is None or isinstance(reached, bytes)
        return reached


def bystander(family: Family) -> dict[str, Any]:
    """A Service that is there before all the others, and whose addresses they want, too."""
    return {
        "metadata": {"name": "bystander", "namespace": "bystanders"},
        "spec": {
            "type": "NodePort",
            "clusterIP": BYSTANDER[family],
            "clusterIPs": [BYSTANDER[family]],
            "ports": [{"port": 80, "nodePort": NODE_PORT}],
        },
    }


def bystander_slice(family: Family) -> service.EndpointSlice:
    """Its one endpoint."""
    labels = {service.SERVICE_NAME_LABEL: "bystander"}
    return codec.of_builtins(
        service.EndpointSlice,
        {
            "metadata": {"namespace": "bystanders", "labels": labels},
            "addressType": family.api_name,
            "endpoints": [{"addresses": [BACKEND[family]]}],
            "ports": [{"name": "", "port": 8080}],
        },
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some(services), some(slices, 4))
def test_whatever_comes_becomes_rules_or_nothing_and_disturbs_nobody(found: list, sliced: list) -> None:
    play(Mode.NFTABLES, found, sliced)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some(services), some(slices, 4))
def test_it_does_so_in_the_iptables_mode(found: list, sliced: list) -> None:
    play(Mode.IPTABLES, found, sliced)


def play(mode: Mode, found: list[dict[str, Any]], sliced: list[dict[str, Any]]) -> None:
    """All of them come, one after another, and go together; the bystander answers all the while."""
    parsed = [codec.of_builtins(service.EndpointSlice, one) for one in sliced]
    for family in Family:
        node = Node(family, mode)
        before = node.ruleset.whole()
        for one in found:
            node.put(codec.of_builtins(service.Service, one), parsed)
            assert node.bystander() == node.backend
        for name in list(node.ruleset.programs):
            if name.service.name != "bystander":
                node.ruleset.put(name, None)
        node.machine.apply(node.ruleset.take())
        assert node.bystander() == node.backend
        assert node.ruleset.whole() == before


@each_mode
@pytest.mark.parametrize(
    ("service_fields", "slice_fields", "reached"),
    [
        pytest.param({}, {"ports": [{"name": "", "port": 8080}] * 3}, True, id="a port three times in a slice"),
        pytest.param({"ports": [{"port": 80}] * 3}, {}, True, id="a port three times in a Service"),
        pytest.param(
            {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]},
            {"ports": [{"name": "b", "port": 8080}]},
            False,
            id="two ports of one number: the first has it, and no endpoints",
        ),
        pytest.param({}, {"endpoints": [{"addresses": ["fd00::9"]}]}, False, id="IPv6 in a slice of IPv4"),
        pytest.param({}, {"endpoints": [{"addresses": ["fd00::9"]}, {"addresses": ["10.1.0.9"]}]}, True, id="both"),
        pytest.param({}, {"endpoints": [{"addresses": []}, {"addresses": ["10.1.0.9"]}]}, True, id="no address"),
        pytest.param({}, {"ports": [{"name": "", "port": None}]}, False, id="a port of no number"),
        pytest.param({}, {"ports": [{"name": "", "port": 0}]}, False, id="port 0"),
        pytest.param({}, {"ports": [{"name": None, "port": 8080}]}, False, id="a port of no name"),
        pytest.param({}, {"ports": []}, False, id="no ports"),
        pytest.param({"ports": [{"port": 80, "nodePort": -1}]}, {}, True, id="a NodePort below 1"),
        pytest.param({"externalIPs": ["10.0.0.7"] * 3}, {}, True, id="its own ClusterIP as external IP, three times"),
    ],
)
def test_one_odd_field_costs_that_field_alone(
    mode: Mode, service_fields: dict, slice_fields: dict, reached: bool
) -> None:
    long = "a" * 253
    labels = {service.SERVICE_NAME_LABEL: long}
    sliced = {
        "metadata": {"name": long, "namespace": long, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.9"]}],
        "ports": [{"name": "", "port": 8080}],
        **slice_fields,
    }
    found = {
        "metadata": {"name": long, "namespace": long},
        "spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 80}], **service_fields},
    }
    node = Node(Family.IPV4, mode)
    node.put(codec.of_builtins(service.Service, found), [codec.of_builtins(service.EndpointSlice, sliced)])
    client, address = addresses.parse(CLIENT[Family.IPV4]), addresses.parse("10.0.0.7")
    assert client is not None
    assert address is not None
    fate = node.machine.send(nftables_trace.Packet(client, address, 6, 80))
    assert (fate.backend is not None, fate.verdict) == (reached, "accept" if reached else "reject")
    assert node.bystander() == node.backend


def test_a_thousand_endpoints_are_a_thousand_slots() -> None:
    many = [{"addresses": [f"10.1.{n // 250}.{n % 250}"]} for n in range(1000)]
    labels = {service.SERVICE_NAME_LABEL: "s"}
    sliced = codec.of_builtins(
        service.EndpointSlice,
        {
            "metadata": {"namespace": "n", "labels": labels},
            "addressType": "IPv4",
            "endpoints": many,
            "ports": [{"name": "", "port": 80}],
        },
    )
    found = codec.of_builtins(
        service.Service,
        {"metadata": {"name": "s", "namespace": "n"}, "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80}]}},
    )
    (port,) = service_ports.read(found, Family.IPV4)
    merged = endpoints.merge([endpoints.read(sliced, port.name.service, "n1")], port.name, Family.IPV4)
    program = programs.build(port, topology.choose(port, merged, topology.Place("n1")))
    assert len(program.cluster) == 1000
