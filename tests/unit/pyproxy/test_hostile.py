"""Objects nobody would write: whatever an API server might let through becomes rules or nothing, never an error."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodekit.objects import codec
from pyproxy.decide import chains, endpoints, programs, service_ports, topology
from pyproxy.decide.ruleset import Ruleset
from pyproxy.decide.trace import Machine
from pyproxy.model import service
from pyproxy.model.address import Address, Family

ADDRESSES = st.sampled_from(
    ["10.0.0.1", "10.0.0.2", "010.0.0.1", "fd00::1", "FD00:0::1", "::ffff:10.0.0.1", "fe80::1%eth0", "", "None", "x",
     "1.2.3", "256.0.0.1", "10.0.0.1/24", "0.0.0.0", "::", "127.0.0.1", "\u0661.2.3.4"]
)  # fmt: skip
CIDRS = st.sampled_from(["10.0.0.0/8", " 10.1.0.0/16 ", "10.0.0.0/33", "0.0.0.0/0", "fd00::/8", "::/0", "/", "", "x/y"])
NAMES = st.sampled_from(["", "a", "b", "a" * 253, "ünïcode"])
NUMBERS = st.sampled_from([0, 1, 80, 65535, 65536, -1, 2**31])
PROTOCOLS = st.sampled_from(["TCP", "UDP", "SCTP", "tcp", "", "QUIC"])
MAYBE = st.sampled_from([None, True, False])


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


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some(services), some(slices, 4))
def test_whatever_comes_becomes_rules_or_nothing(found: list, sliced: list) -> None:
    parsed = [codec.of_builtins(service.EndpointSlice, one) for one in sliced]
    read = [endpoints.read(one, owner, "n1") for one in parsed if (owner := endpoints.owner(one)) is not None]
    for family in Family:
        ruleset = Ruleset(chains.Policy(family, node_port_ips=(Address(bytes(family.value)),)))
        machine = Machine()
        machine.apply(ruleset.whole())
        for one in found:
            for port in service_ports.read(codec.of_builtins(service.Service, one), family):
                merged = endpoints.merge(read, port.name, family)
                choice = topology.choose(port, merged, topology.Place("n1", "z"))
                program = programs.build(port, choice, node_ip=None, before=ruleset.programs.get(port.name))
                ruleset.put(port.name, program)
                machine.apply(ruleset.take())
        for name in list(ruleset.programs):
            ruleset.put(name, None)
        machine.apply(ruleset.take())
        left = {one for one, held in machine.known().items() if held}
        assert {one.spec.name for one in left} <= {"nodeport-ips"}


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
