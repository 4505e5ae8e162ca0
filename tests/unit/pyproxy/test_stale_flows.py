"""Which flows go stale with a change of a port, by protocol and by what its Service asks for."""

from typing import Any

import pytest

from nodekit.objects import codec
from nodekit.objects.meta import Key
from pyproxy.decide import programs, service_ports, stale_flows, topology
from pyproxy.decide.stale_flows import Flow
from pyproxy.model import keys, service
from pyproxy.model.address import Address, Family
from pyproxy.model.ports import Endpoint, PortName, Protocol, ServicePort
from pyproxy.model.program import Program

IP, NODE = Address(bytes((10, 0, 0, 1))), Address(bytes((192, 0, 2, 1)))
ONE, OTHER = (Endpoint(Address(bytes((10, 1, 0, n))), 8080) for n in (1, 2))
BACKEND = keys.endpoint(ONE.address, ONE.port)


def port(protocol: Protocol, **fields: Any) -> ServicePort:
    return ServicePort(PortName(Key("ns", "a"), "", protocol), IP, 80, **fields)


def program(of: ServicePort, *endpoints: Endpoint) -> Program:
    return programs.build(of, topology.choose(of, endpoints, topology.Place("n")))


@pytest.mark.parametrize(
    ("one", "followed"),
    [
        pytest.param(port(Protocol.UDP), True, id="UDP always"),
        pytest.param(port(Protocol.SCTP), True, id="SCTP always"),
        pytest.param(port(Protocol.TCP), False, id="TCP not by itself"),
        pytest.param(port(Protocol.TCP, reset_connections=True), True, id="TCP where the Service asks for it"),
    ],
)
def test_flows_to_a_backend_that_left_are_stale(one: ServicePort, followed: bool) -> None:
    ledger = stale_flows.Ledger()
    first, second = program(one, ONE), program(one, OTHER)
    ledger.put(one, [ONE], old=None, new=first)
    ledger.take_gone()
    ledger.put(one, [OTHER], old=first, new=second)
    gone = [Flow(keys.service(IP, one.name.protocol, 80), BACKEND)] if followed else []
    assert ledger.take_gone() == gone
    assert ledger.take_gone() == []
    assert bool(ledger.all({one.name: second}, [])) == followed


def test_only_frontends_that_came_are_new() -> None:
    ledger = stale_flows.Ledger()
    before, after = port(Protocol.UDP), port(Protocol.UDP, node_port=30080)
    first = program(before, ONE)
    ledger.put(before, [ONE], old=None, new=first)
    assert set(ledger.take_new([NODE])) == {keys.service(IP, Protocol.UDP, 80)}
    ledger.put(after, [ONE], old=first, new=program(after, ONE))
    assert ledger.take_new([NODE]) == {keys.service(NODE, Protocol.UDP, 30080): frozenset({BACKEND})}


def test_a_node_port_without_backends_is_left_to_others() -> None:
    ledger = stale_flows.Ledger()
    one = port(Protocol.UDP, node_port=30080)
    ledger.put(one, [], old=None, new=program(one))
    assert set(ledger.take_new([NODE])) == {keys.service(IP, Protocol.UDP, 80)}


@pytest.mark.parametrize(
    ("value", "asked"), [("true", True), ("false", False), ("yes", False), ("", False), (None, False)]
)
def test_a_service_asks_for_resets_by_annotation(value: str | None, asked: bool) -> None:
    annotations = {} if value is None else {service.RESET_CONNECTIONS_ANNOTATION: value}
    found = codec.of_builtins(
        service.Service,
        {
            "metadata": {"name": "a", "namespace": "ns", "annotations": annotations},
            "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80}]},
        },
    )
    (read,) = service_ports.read(found, Family.IPV4)
    assert read.reset_connections is asked
