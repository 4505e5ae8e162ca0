"""iptables of both back ends: what they print is what was written, and what becomes of other chains."""

import asyncio
import os

import pytest

from pyproxy import errors
from pyproxy.decide.iptables import listing, text
from pyproxy.model import ruleset as rs
from pyproxy.model.iptables import ChainId, Change, Table
from pyproxy.model.ports import Balance
from tests.contract.proxy_lab import BACKENDS, POD, IptablesNode, ip

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


def _everything(node: IptablesNode) -> None:
    node.serve(*BACKENDS, node_port=30080, external_local=True, affinity_seconds=10800,
               vips=(ip(node.plan.external_ip),), source_ranges=(node.plan.pods,))  # fmt: skip
    node.serve(name="nothing", port=81, node_port=30081)
    node.serve(*BACKENDS, name="hashed", port=82, balance=Balance.MAGLEV)
    node.serve("b2", name="far", port=83, internal_local=True)


def _agrees(node: IptablesNode) -> None:
    whole = node.ruleset.whole()
    wanted = {chain: tuple(text.rules_of(chain, rules, whole.family)) for chain, rules in whole.chains.items()}
    assert node.listing().rules == wanted


def test_what_is_printed_is_what_was_written(iptables_node: IptablesNode) -> None:
    _everything(iptables_node)
    _agrees(iptables_node)


def test_a_row_of_changes_leaves_just_what_a_whole_would(iptables_node: IptablesNode) -> None:
    for backends in (BACKENDS, ("b1",), ("b3", "b2"), (), ("b2",)):
        iptables_node.serve(*backends, node_port=30080, affinity_seconds=10, external_local=True)
        _agrees(iptables_node)


def test_a_start_leaves_nothing_of_a_former_run_and_everything_of_others(iptables_node: IptablesNode) -> None:
    _everything(iptables_node)
    family = iptables_node.plan.family
    theirs = ChainId(Table.NAT, "SOMEBODY")
    stale = ChainId(Table.NAT, "PYPROXY-C-STALE")
    made = {theirs: ((rs.Jump("RETURN"),),), stale: (), ChainId(Table.FILTER, "PYPROXY-OLD"): ()}
    output = ChainId(Table.NAT, "OUTPUT")
    hooks = ((output, (rs.Jump(stale.name),)), (output, (rs.Jump(theirs.name),)))
    programs = iptables_node.writer.programs
    asyncio.run(programs.restore(family, text.restore(Change(family, chains=made, hooks=hooks))))
    iptables_node.write_whole()
    _agrees(iptables_node)
    saved = asyncio.run(programs.save(family, Table.NAT)).splitlines()
    assert [line for line in saved if line.startswith("-A OUTPUT")] == [
        "-A OUTPUT -j PYPROXY-SERVICES",
        "-A OUTPUT -j SOMEBODY",
    ]
    assert asyncio.run(iptables_node.writer.remove(family, listing.ours))
    assert not asyncio.run(iptables_node.writer.remove(family, listing.ours))
    assert not asyncio.run(iptables_node.writer.listing(family))
    assert asyncio.run(iptables_node.writer.remove(family, lambda chain: chain == theirs.name))


def test_a_refused_line_is_told_and_nothing_is_written(iptables_node: IptablesNode) -> None:
    before = iptables_node.listing()
    chain = ChainId(Table.NAT, "PYPROXY-BAD")
    wrong = Change(iptables_node.plan.family, chains={chain: ((rs.Jump("PYPROXY-NOT-THERE"),),)})
    with pytest.raises(errors.RulesetError, match="PYPROXY-NOT-THERE"):
        iptables_node.write(wrong)
    assert iptables_node.listing() == before


def test_a_client_is_remembered_over_a_start(iptables_node: IptablesNode) -> None:
    iptables_node.serve(*BACKENDS, affinity_seconds=60)
    first = iptables_node.call(POD, iptables_node.plan.cluster_ip)
    for _ in range(5):
        iptables_node.write_whole()
        assert iptables_node.call(POD, iptables_node.plan.cluster_ip) == first
