"""The ruleset after any row of changes is the ruleset made at once."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from nodekit.objects.meta import Key
from pyproxy.decide import chains, programs, topology
from pyproxy.decide.ruleset import Ruleset
from pyproxy.decide.trace import Machine
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.ports import Endpoint, PortName, Protocol, ServicePort
from pyproxy.model.ruleset import ChainKey, Set

POLICY = chains.Policy(Family.IPV4, node_port_ips=(Address(b"\xc6\x12\0\1"),))


def address(*octets: int) -> Address:
    return Address(bytes(octets))


few = st.integers(0, 3)
endpoints = st.lists(
    st.builds(
        lambda n, port, ready, local: Endpoint(address(10, 1, 0, n), 8000 + port, ready=ready, local=local),
        few,
        st.integers(0, 1),
        st.booleans(),
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda e: (e.address, e.port),
)
ports = st.builds(
    lambda service, ip, number, external, extra: ServicePort(
        PortName(Key("ns", f"s{service}"), "p", Protocol.TCP),
        address(10, 0, 0, ip),
        80 + number,
        external_ips=(address(192, 0, 2, external),) if external else (),
        **extra,
    ),
    few,
    few,
    st.integers(0, 1),
    st.integers(0, 2),
    st.fixed_dictionaries(
        {
            "node_port": st.sampled_from([0, 30000, 30001]),
            "vips": st.sampled_from([(), (address(192, 0, 2, 9),)]),
            "source_ranges": st.sampled_from([(), (Prefix(address(10, 0, 0, 0), 8), Prefix(address(10, 1, 0, 0), 16))]),
            "affinity_seconds": st.sampled_from([0, 0, 30]),
            "internal_local": st.booleans(),
            "external_local": st.booleans(),
        }
    ),
)
puts = st.tuples(ports, endpoints)
removals = st.builds(lambda n: PortName(Key("ns", f"s{n}"), "p", Protocol.TCP), few)
steps = st.lists(st.one_of(puts, puts, removals, st.just("send"), st.just("collect"), st.just("whole")), max_size=25)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_changes_lead_where_the_whole_leads(steps: list) -> None:
    ruleset, machine = Ruleset(POLICY), Machine()
    machine.apply(ruleset.whole())
    for step in steps:
        match step:
            case (ServicePort() as port, found):
                choice = topology.choose(port, found, topology.Place("n"))
                before = ruleset.programs.get(port.name)
                ruleset.put(port.name, programs.build(port, choice, before=before))
            case PortName():
                ruleset.put(step, None)
            case "send":
                machine.apply(ruleset.take())
            case "collect":
                machine.apply(ruleset.take())
                machine.apply(ruleset.collect())
            case "whole":
                machine.apply(ruleset.whole())
                for name in machine.chains.keys() - ruleset.chain_names():
                    del machine.chains[name]
    machine.apply(ruleset.take())
    machine.apply(ruleset.collect())
    machine.apply(ruleset.collect())
    afresh = Machine()
    afresh.apply(ruleset.whole())
    assert machine.known() == afresh.known()
    assert machine.chains == afresh.chains
    assert machine.chains.keys() == ruleset.chain_names()


def _put(ruleset: Ruleset, name: str, *backends: int, **fields: object) -> None:
    port = ServicePort(PortName(Key("ns", name), "p", Protocol.TCP), address(10, 0, 0, 1), 80)
    port = replace(port, **fields)  # type: ignore[arg-type]
    choice = topology.choose(port, [Endpoint(address(10, 1, 0, n), 80) for n in backends], topology.Place("n"))
    ruleset.put(port.name, programs.build(port, choice, before=ruleset.programs.get(port.name)))


def test_one_endpoint_replaced_is_one_element_replaced() -> None:
    ruleset = Ruleset(POLICY)
    _put(ruleset, "a", *range(1, 101))
    ruleset.whole()
    _put(ruleset, "a", *range(1, 50), *range(51, 101), 200)
    change = ruleset.take()
    assert {one: len(keys) for one, keys in change.removed.items()} == {Set.ENDPOINTS: 1}
    assert {one: len(keys) for one, keys in change.added.items()} == {Set.ENDPOINTS: 1}
    assert not change.chains


def test_what_cancels_out_is_not_sent() -> None:
    ruleset = Ruleset(POLICY)
    ruleset.whole()
    _put(ruleset, "a", 1, 2)
    ruleset.put(PortName(Key("ns", "a"), "p", Protocol.TCP), None)
    assert not ruleset.take()


def test_a_contested_frontend_stays_with_the_first_until_it_lets_go() -> None:
    ruleset = Ruleset(POLICY)
    ruleset.whole()
    _put(ruleset, "a", 1)
    _put(ruleset, "b", 2, 3)
    held = ruleset.take().added[Set.SERVICES]
    assert [v.number for v in held.values() if isinstance(v, ChainKey)] == [1]
    ruleset.put(PortName(Key("ns", "a"), "p", Protocol.TCP), None)
    held = ruleset.take().added[Set.SERVICES]
    assert [v.number for v in held.values() if isinstance(v, ChainKey)] == [2]
