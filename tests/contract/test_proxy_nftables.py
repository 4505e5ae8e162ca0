"""What only nf_tables has: elements and what nft says of them, clients that are let go, balancing by a hash."""

import os
import socket
import struct
from collections import Counter
from pathlib import Path

import pytest

from pyproxy.decide import nft_text
from pyproxy.decide.connections import Totals
from pyproxy.model import keys
from pyproxy.model.address import Family
from pyproxy.model.ports import Balance, Protocol
from tests.contract.proxy_lab import BACKENDS, NODE, OUTSIDER, POD, PORT, CountingNode, Node, ip

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
each_protocol = pytest.mark.parametrize("protocol", [pytest.param(p, id=p.name) for p in Protocol])


@each_protocol
def test_clients_of_a_backend_that_leaves_can_be_let_go_before_they_call(node: Node, protocol: Protocol) -> None:
    node.serve(*BACKENDS, affinity_seconds=60, protocol=protocol)
    (first,) = node.reached(POD, node.plan.cluster_ip, over=protocol)
    left = sorted(set(BACKENDS) - {first})
    node.kernel.forget_clients(node.serve_change(*left, affinity_seconds=60, protocol=protocol))
    (second,) = node.reached(POD, node.plan.cluster_ip, over=protocol)
    assert second in left


@pytest.mark.parametrize("affinity", [pytest.param(0, id="by chance"), pytest.param(60, id="with affinity")])
def test_connections_are_counted_by_service_and_by_endpoint(node: Node, affinity: int) -> None:
    node = CountingNode(node.lab, node.plan, node.kernel)
    node.serve(*BACKENDS, node_port=30080, affinity_seconds=affinity, external_local=True)
    answers = [node.call(POD, node.plan.cluster_ip) for _ in range(7)]
    answers += [node.call(POD, node.plan.hosts[NODE], 30080) for _ in range(5)]
    answers += [node.call(OUTSIDER, node.plan.hosts[NODE], 30080) for _ in range(3)]
    totals = Totals(node.plan.family, node.counting)
    totals.follow(
        node.ruleset.owned(), {one: node.kernel.counts(node.plan.family, one) for one in totals.counting.sets}
    )
    names = {keys.endpoint(ip(node.plan.hosts[b]), PORT): b for b in BACKENDS} | {b"": "service"}
    found = {names[to.endpoint]: count for to, count in totals.totals.items() if count}
    assert found == {"service": 15, **Counter(answer.split()[0] for answer in answers)}


def test_maglev_gives_a_connection_the_same_backend_each_time(node: Node) -> None:
    node.serve(*BACKENDS, balance=Balance.MAGLEV)
    assert node.reached(POD, node.plan.cluster_ip) == set(BACKENDS)
    family = socket.AF_INET6 if node.plan.family is Family.IPV6 else socket.AF_INET
    for port in (40001, 40002, 40003):
        answers = set()
        for _ in range(3):
            with node.lab.inside(POD), socket.socket(family, socket.SOCK_STREAM) as one:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.bind((node.plan.hosts[POD], port))
                one.settimeout(1)
                one.connect((node.plan.cluster_ip, 80))
                answers.add(one.recv(100).split()[0])
        assert len(answers) == 1


def test_every_row_of_changes_leaves_just_what_a_whole_would(node: Node) -> None:
    for backends in (BACKENDS, ("b1",), ("b3", "b2"), (), ("b2",)):
        node.serve(*backends, node_port=30080, affinity_seconds=10, external_local=True)
    whole = node.ruleset.whole()
    for one, wanted in whole.added.items():
        assert node.kernel.elements(node.plan.family, one) == {k: nft_text.told(v) for k, v in wanted.items()}, one
    node.kernel.apply(whole)
    for one, wanted in whole.added.items():
        assert node.kernel.elements(node.plan.family, one) == {k: nft_text.told(v) for k, v in wanted.items()}, one


def test_nft_prints_every_rule_and_says_nothing_else(node: Node) -> None:
    node.serve(*BACKENDS, node_port=30080, external_local=True, affinity_seconds=10800,
               vips=(ip(node.plan.external_ip),), source_ranges=(node.plan.pods,))  # fmt: skip
    node.serve(name="nothing", port=81)
    node.serve(*BACKENDS, name="hashed", port=82, balance=Balance.MAGLEV)
    listed = node.lab.nft("list", "ruleset")
    assert (listed.returncode, listed.stderr) == (0, "")
    for chain in node.kernel.chain_names(node.plan.family):
        body = listed.stdout.split(f"\tchain {chain} {{\n")[1].split("\n\t}")[0].splitlines()
        whole = {c.name: c for c in node.ruleset.whole().chains}
        rules = [line for line in body if not line.strip().startswith("type nat hook")]
        assert len(rules) == len(whole[chain].rules), chain
        assert all(line.strip() for line in rules), chain


@pytest.mark.parametrize("kind", [Node, CountingNode])
def test_nft_reads_what_it_lists_and_what_a_dry_run_prints(node: Node, tmp_path: Path, kind: type[Node]) -> None:
    node = kind(node.lab, node.plan, node.kernel)
    # Session affinity apart: nft 1.0.6 prints the original port of a connection in a key, but does not read it there.
    node.serve(*BACKENDS, node_port=30080, external_local=True,
               vips=(ip(node.plan.external_ip),), source_ranges=(node.plan.pods,))  # fmt: skip
    node.serve(name="nothing", port=81)
    node.serve(*BACKENDS, name="hashed", port=82, balance=Balance.MAGLEV)
    for text in (node.lab.nft("list", "ruleset").stdout, nft_text.write(node.ruleset.whole())):
        path = tmp_path / "ruleset.nft"
        path.write_text("flush ruleset\n" + text)
        assert node.lab.nft("-c", "-f", str(path)).stderr == ""
