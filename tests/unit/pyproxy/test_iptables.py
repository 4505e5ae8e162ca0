"""The iptables ruleset: any row of changes leads where the whole leads, small changes stay small, and its text."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from nodekit.objects.meta import Key
from pyproxy.decide import chains, programs, topology
from pyproxy.decide.iptables import text
from pyproxy.decide.iptables.ruleset import Ruleset
from pyproxy.decide.iptables.trace import Machine
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.iptables import Accept, ChainId, Chance, Change, Comment, Goto, Table, ToPorts
from pyproxy.model.ports import Endpoint, PortName, Protocol, ServicePort
from tests.unit.pyproxy.test_ruleset import POLICY, address, steps

A = PortName(Key("ns", "a"), "p", Protocol.TCP)


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
            case "send" | "collect":
                machine.apply(ruleset.take())
            case "whole":
                machine.apply(ruleset.whole())
    machine.apply(ruleset.take())
    assert not ruleset.take()
    afresh = Machine()
    afresh.apply(ruleset.whole())
    assert machine.chains == afresh.chains


def _put(ruleset: Ruleset, name: PortName, *backends: int, **fields: object) -> None:
    port = ServicePort(name, address(10, 0, 0, 1), 80)
    port = replace(port, **fields)  # type: ignore[arg-type]
    choice = topology.choose(port, [Endpoint(address(10, 1, 0, n), 80) for n in backends], topology.Place("n"))
    ruleset.put(port.name, programs.build(port, choice, before=ruleset.programs.get(port.name)))


def test_an_endpoint_replaced_is_one_chain_rewritten() -> None:
    ruleset = Ruleset(POLICY)
    _put(ruleset, A, 1, 2, 3, node_port=30000)
    ruleset.whole()
    _put(ruleset, A, 1, 2, 4, node_port=30000)
    change = ruleset.take()
    assert [chain.name[:10] for chain in change.chains] == ["PYPROXY-C-"]
    assert change.dropped == ()


def test_a_service_of_another_block_of_addresses_leaves_the_first_blocks_rules_alone() -> None:
    ruleset = Ruleset(POLICY)
    _put(ruleset, A, 1)
    ruleset.whole()
    _put(ruleset, PortName(Key("ns", "b"), "p", Protocol.TCP), 2, cluster_ip=address(10, 0, 7, 1))
    written = {chain.name for chain in ruleset.take().chains}
    assert {"PYPROXY-N-0a000700", "PYPROXY-F-0a000700", "PYPROXY-SERVICES", "PYPROXY-REFUSE"} < written
    assert "PYPROXY-N-0a000000" not in written


def test_a_policy_that_masquerades_otherwise_rewrites_every_service() -> None:
    ruleset, machine = Ruleset(POLICY), Machine()
    _put(ruleset, A, 1)
    machine.apply(ruleset.whole())
    ruleset.repolicy(replace(POLICY, masquerade_all=True, masquerade_mark=1))
    machine.apply(ruleset.take())
    afresh = Machine()
    afresh.apply(ruleset.whole())
    assert machine.chains == afresh.chains


def test_load_balancers_may_ask_for_local_endpoints_for_as_long_as_a_service_says_so() -> None:
    ruleset, machine = Ruleset(POLICY), Machine()
    machine.apply(ruleset.whole())
    health = ChainId(Table.FILTER, "PYPROXY-HEALTH")
    for name in (A, A._replace(port="q")):
        _put(ruleset, name, 1, health_check_node_port=32000)
    machine.apply(ruleset.take())
    assert machine.chains[health] == ((ToPorts(Protocol.TCP, 32000, 32000), Accept()),)
    ruleset.put(A, None)
    assert health not in ruleset.take().chains
    ruleset.put(A._replace(port="q"), None)
    machine.apply(ruleset.take())
    assert machine.chains[health] == ()


@pytest.mark.parametrize("family", [pytest.param(family, id=family.api_name) for family in Family])
def test_block_names_of_either_family_fit(family: Family) -> None:
    ruleset, machine = Ruleset(chains.Policy(family)), Machine()
    port = ServicePort(A, Address(bytes([0xFD]) * family.value), 80, node_port=65535)
    endpoints = [Endpoint(Address(bytes([1]) * family.value), 1, local=True)]
    ruleset.put(A, programs.build(port, topology.choose(port, endpoints, topology.Place("n"))))
    machine.apply(ruleset.whole())  # it refuses longer ones


CHAIN = ChainId(Table.NAT, "PYPROXY-A")


def test_a_restore_empties_what_it_writes_and_removes_what_is_stale() -> None:
    change = Change(
        Family.IPV4,
        chains={CHAIN: ((rs.DestinationIn(Prefix(address(10, 0, 0, 0), 8)), Comment("n/a"), Goto("PYPROXY-B")),)},
        dropped=(ChainId(Table.FILTER, "PYPROXY-C"),),
    )
    assert text.restore(change, stale=[ChainId(Table.NAT, "PYPROXY-D")]).splitlines() == [
        "*nat",
        ":PYPROXY-A - [0:0]",
        ":PYPROXY-D - [0:0]",
        '-A PYPROXY-A -d 10.0.0.0/8 -m comment --comment "n/a" -g PYPROXY-B',
        "-X PYPROXY-D",
        "COMMIT",
        "*filter",
        ":PYPROXY-C - [0:0]",
        "-X PYPROXY-C",
        "COMMIT",
    ]


def test_a_whole_puts_its_hooks_first_and_takes_the_old_ones_away() -> None:
    change = Change(Family.IPV4, fresh=True, hooks=((ChainId(Table.NAT, "OUTPUT"), (rs.Jump("PYPROXY-A"),)),))
    hooked = {Table.NAT: ("-A OUTPUT -m mark --mark 0x1 -j PYPROXY-A",)}
    assert text.restore(change, hooked=hooked).splitlines() == [
        "*nat",
        "-D OUTPUT -m mark --mark 0x1 -j PYPROXY-A",
        "-I OUTPUT 1 -j PYPROXY-A",
        "COMMIT",
    ]


def test_chances_are_written_as_the_kernel_stores_them() -> None:
    (line,) = text.rules_of(CHAIN, [(Chance(1, 3), Goto("PYPROXY-B"))], Family.IPV4)
    assert line == "-A PYPROXY-A -m statistic --mode random --probability 0.33333333349 -g PYPROXY-B"
