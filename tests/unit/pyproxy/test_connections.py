"""Counters of elements that come, go and begin anew add up to totals of ports and endpoints."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from nodekit.objects.meta import Key
from pyproxy import errors
from pyproxy.decide import connections, programs, topology
from pyproxy.decide.chains import Policy
from pyproxy.decide.connections import To, Totals
from pyproxy.decide.ruleset import Ruleset
from pyproxy.model import keys
from pyproxy.model.address import Address, Family
from pyproxy.model.ports import Endpoint, PortName, Protocol, ServicePort
from pyproxy.model.ruleset import Counting, Set
from pyproxy.report.connections import Connections

IP = Address(bytes((10, 0, 0, 1)))
FRONTEND = keys.service(IP, Protocol.TCP, 80)
NODE_PORT = keys.node_port(Protocol.TCP, 30080)
NAME = PortName(Key("ns", "a"), "http", Protocol.TCP)


def endpoint(number: int) -> Endpoint:
    return Endpoint(Address(bytes((10, 1, 0, number))), 8080)


def backend(number: int) -> bytes:
    return keys.endpoint(endpoint(number).address, 8080)


class Kernel:
    """What its elements have counted, as a test says."""

    def __init__(self) -> None:
        self.counted: dict[tuple[Set, bytes], int] = {}
        self.refuses = False

    def counts(self, family: Family, one: Set) -> dict[bytes, int]:
        if self.refuses:
            raise errors.RulesetError("listing table pyproxy: Interrupted")
        return {key: count for (where, key), count in self.counted.items() if where is one}


class Scene:
    """One Service, what the kernel counts for it, and the totals so far."""

    def __init__(self, counting: Counting = Counting.ENDPOINTS, **fields: Any) -> None:
        self.port = ServicePort(NAME, IP, 80, **fields)
        self.ruleset = Ruleset(Policy(Family.IPV4))
        self.kernel = Kernel()
        self.totals = Totals(Family.IPV4, counting)

    def serve(self, *numbers: int) -> None:
        choice = topology.choose(self.port, [endpoint(n) for n in numbers], topology.Place("n"))
        before = self.ruleset.programs.get(NAME)
        self.ruleset.put(NAME, programs.build(self.port, choice, before=before))

    def follow(self, **counted: int) -> dict[bytes, int]:
        """After slots `s0`, `s1`... and the frontend `service` have counted this: the totals, the port's as b""."""
        where = {
            "service": (Set.SERVICES, FRONTEND),
            "node_port": (Set.NODE_PORTS, NODE_PORT),
            **{f"s{n}": (Set.ENDPOINTS, keys.slot(FRONTEND, n)) for n in range(3)},
            **{f"n{n}": (Set.NODE_PORT_ENDPOINTS, keys.slot(NODE_PORT, n)) for n in range(3)},
            **{f"learned{n}": (Set.AFFINITY_ENDPOINTS, FRONTEND + backend(n)) for n in range(1, 4)},
        }
        self.kernel.counted = {where[name]: count for name, count in counted.items()}
        counts = {one: self.kernel.counts(Family.IPV4, one) for one in self.totals.counting.sets}
        self.totals.follow(self.ruleset.owned(), counts)
        assert all(to.port == NAME for to in self.totals.totals)
        return {to.endpoint: total for to, total in self.totals.totals.items()}


def test_frontends_add_up_to_their_port_and_slots_to_their_endpoint() -> None:
    scene = Scene(node_port=30080)
    scene.serve(1, 2)
    found = scene.follow(service=7, node_port=5, s0=4, s1=3, n0=2, n1=3)
    assert found == {b"": 12, backend(1): 6, backend(2): 6}


def test_a_slot_that_another_endpoint_got_counts_from_zero_and_the_old_one_is_forgotten() -> None:
    scene = Scene()
    scene.serve(1, 2)
    assert scene.follow(service=10, s0=6, s1=4)[backend(1)] == 6
    scene.serve(2, 3)
    assert scene.follow(service=13, s0=2, s1=5) == {b"": 13, backend(3): 2, backend(2): 5}


def test_a_table_written_anew_takes_nothing_away() -> None:
    scene = Scene()
    scene.serve(1)
    scene.follow(service=10, s0=10)
    assert scene.follow(service=3, s0=3) == {b"": 13, backend(1): 13}


def test_an_element_that_a_listing_missed_tells_nothing() -> None:
    scene = Scene()
    scene.serve(1)
    scene.follow(service=10, s0=10)
    assert scene.follow() == {b"": 10, backend(1): 10}
    assert scene.follow(service=11, s0=11) == {b"": 11, backend(1): 11}


def test_with_affinity_each_connection_learned_counts_and_no_slot_drawn() -> None:
    scene = Scene(affinity_seconds=60)
    scene.serve(1, 2)
    assert scene.follow(service=9, s0=1, learned1=9) == {b"": 9, backend(1): 9, backend(2): 0}


def test_services_alone_can_be_counted() -> None:
    scene = Scene(Counting.SERVICES)
    scene.serve(1, 2)
    assert scene.follow(service=9, s0=9) == {b"": 9}


def test_a_port_that_is_gone_has_no_total() -> None:
    scene = Scene()
    scene.serve(1)
    scene.follow(service=1, s0=1)
    scene.ruleset.put(NAME, None)
    assert scene.follow() == {}


def _many(number: int) -> list[connections.Owned]:
    ruleset = Ruleset(Policy(Family.IPV4))
    for n in range(number):
        port = ServicePort(PortName(Key("ns", f"s{n}"), "", Protocol.TCP), Address(bytes((10, 0, 1, n))), 80)
        ruleset.put(port.name, programs.build(port, topology.choose(port, [endpoint(1)], topology.Place("n"))))
    return ruleset.owned()


async def test_series_beyond_the_bound_are_added_up_in_one() -> None:
    kernel, owned = Kernel(), _many(5)
    kernel.counted = {(Set.SERVICES, frontend.key): 10 for _, frontend, _ in owned}
    shown = Connections(kernel, Counting.SERVICES, owned={Family.IPV4: lambda: owned}, most=3)
    await shown.read()
    registry = CollectorRegistry()
    registry.register(shown)
    (services, endpoints) = registry.collect()
    found = {sample.labels["service"]: sample.value for sample in services.samples}
    assert found == {"s0": 10, "s1": 10, "s2": 10, "(others)": 20}
    assert endpoints.samples == []


async def test_what_can_not_be_read_leaves_the_totals(caplog: pytest.LogCaptureFixture) -> None:
    kernel, owned = Kernel(), _many(1)
    kernel.counted = {(Set.SERVICES, owned[0][1].key): 10}
    shown = Connections(kernel, Counting.SERVICES, owned={Family.IPV4: lambda: owned})
    await shown.read()
    kernel.refuses = True
    await shown.read()
    (services, _) = shown.collect()
    assert [sample.value for sample in services.samples] == [10]
    assert "connections of IPv4 are not counted this time" in caplog.text


def test_a_total_is_of_a_port_or_of_an_endpoint() -> None:
    assert To(NAME) != To(NAME, backend(1))
