"""Real packets between namespaces through a node's rules: in nf_tables, and in iptables of either back end."""

import os
import socket
import threading
import time
from collections.abc import Callable

import pytest
from pyroute2 import netns

from pyproxy.model.address import Family
from pyproxy.model.ports import Protocol
from tests.contract.proxy_lab import BACKENDS, NODE, OUTSIDER, POD, AnyNode, ip

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
each_protocol = pytest.mark.parametrize("protocol", [pytest.param(p, id=p.name) for p in Protocol])


@each_protocol
def test_a_cluster_ip_reaches_every_backend(any_node: AnyNode, protocol: Protocol) -> None:
    any_node.serve(*BACKENDS, protocol=protocol)
    assert any_node.reached(POD, any_node.plan.cluster_ip, over=protocol) == set(BACKENDS)
    assert any_node.call(POD, any_node.plan.cluster_ip, over=protocol).split()[1] == any_node.plan.hosts[POD]


def test_a_service_may_have_many_ports(any_node: AnyNode) -> None:
    any_node.serve("b1", port=80)
    any_node.serve("b2", port=81, name="second")
    assert any_node.reached(POD, any_node.plan.cluster_ip, 80) == {"b1"}
    assert any_node.reached(POD, any_node.plan.cluster_ip, 81) == {"b2"}


@each_protocol
def test_a_node_port_reaches_every_backend_masqueraded(any_node: AnyNode, protocol: Protocol) -> None:
    any_node.serve(*BACKENDS, protocol=protocol, node_port=30080)
    assert any_node.reached(OUTSIDER, any_node.plan.hosts[NODE], 30080, over=protocol) == set(BACKENDS)
    assert (
        any_node.call(OUTSIDER, any_node.plan.hosts[NODE], 30080, over=protocol).split()[1]
        != any_node.plan.hosts[OUTSIDER]
    )


@each_protocol
def test_the_node_itself_reaches_cluster_ips_and_its_node_ports(any_node: AnyNode, protocol: Protocol) -> None:
    any_node.serve(*BACKENDS, node_port=30080, protocol=protocol)
    assert any_node.reached(NODE, any_node.plan.cluster_ip, over=protocol) == set(BACKENDS)
    assert any_node.reached(NODE, any_node.plan.hosts[NODE], 30080, over=protocol) == set(BACKENDS)


@each_protocol
def test_external_policy_local_keeps_the_callers_address(any_node: AnyNode, protocol: Protocol) -> None:
    any_node.serve(*BACKENDS, node_port=30080, external_local=True, protocol=protocol)
    answer = any_node.call(OUTSIDER, any_node.plan.hosts[NODE], 30080, over=protocol)
    assert answer == f"b1 {any_node.plan.hosts[OUTSIDER]}"
    assert any_node.reached(POD, any_node.plan.hosts[NODE], 30080, over=protocol) == set(BACKENDS)


@each_protocol
def test_a_backend_reaches_itself(any_node: AnyNode, protocol: Protocol) -> None:
    any_node.serve("b1", protocol=protocol)
    assert any_node.call("b1", any_node.plan.cluster_ip, over=protocol).split()[0] == "b1"


@each_protocol
def test_without_endpoints_connections_are_refused(any_node: AnyNode, protocol: Protocol) -> None:
    any_node.serve(protocol=protocol, node_port=30080)
    assert any_node.call(POD, any_node.plan.cluster_ip, over=protocol) == "ConnectionRefusedError"
    assert any_node.call(OUTSIDER, any_node.plan.hosts[NODE], 30080, over=protocol) == "ConnectionRefusedError"


@each_protocol
def test_undefined_ports_of_a_cluster_ip_are_refused(any_node: AnyNode, protocol: Protocol) -> None:
    any_node.serve("b1", protocol=protocol)
    assert any_node.call(POD, any_node.plan.cluster_ip, 53, over=protocol) == "ConnectionRefusedError"


@each_protocol
def test_unallocated_addresses_of_the_service_range_are_dropped(any_node: AnyNode, protocol: Protocol) -> None:
    assert any_node.call(POD, any_node.plan.unallocated, over=protocol) == "TimeoutError"


@each_protocol
def test_source_ranges_let_in_whom_they_name(any_node: AnyNode, protocol: Protocol) -> None:
    any_node.serve("b1", vips=(ip(any_node.plan.external_ip),), source_ranges=(any_node.plan.pods,), protocol=protocol)
    assert any_node.call(POD, any_node.plan.external_ip, over=protocol).split()[0] == "b1"
    # iptables drops after routing, which the lab's node does not know for this address: OSError is "no route to host".
    assert any_node.call(OUTSIDER, any_node.plan.external_ip, over=protocol) in ("TimeoutError", "OSError")


@each_protocol
def test_a_client_with_affinity_keeps_its_backend_until_that_leaves(any_node: AnyNode, protocol: Protocol) -> None:
    any_node.serve(*BACKENDS, affinity_seconds=60, protocol=protocol)
    first = any_node.reached(POD, any_node.plan.cluster_ip, over=protocol)
    assert len(first) == 1
    others = set(BACKENDS) - first
    any_node.serve(*sorted(others), affinity_seconds=60, protocol=protocol)
    if any_node.moved:
        assert any_node.call(POD, any_node.plan.cluster_ip, over=protocol) == any_node.moved
    (second,) = any_node.reached(POD, any_node.plan.cluster_ip, over=protocol)
    assert second in others


def test_affinity_ends_when_the_client_stays_away_for_its_time(any_node: AnyNode) -> None:
    any_node.serve(*BACKENDS, affinity_seconds=1)
    first = any_node.reached(POD, any_node.plan.cluster_ip)
    assert len(first) == 1
    for _ in range(12):  # chance may find the same one again, this often once in half a million times
        time.sleep(1.1)
        if any_node.call(POD, any_node.plan.cluster_ip).split()[0] not in first:
            return
    pytest.fail("the client is remembered for longer than its second")


def test_a_refill_under_load_refuses_nobody(any_node: AnyNode) -> None:
    any_node.serve(*BACKENDS)
    failures: list[str] = []
    stop = threading.Event()

    def load(call: Callable[..., str]) -> None:
        netns.setns(any_node.lab.name(POD))  # this thread's namespace alone
        while not stop.is_set():
            family = socket.AF_INET6 if any_node.plan.family is Family.IPV6 else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as one:
                one.settimeout(3)
                try:
                    one.connect((any_node.plan.cluster_ip, 80))
                    one.recv(10)
                except OSError as error:
                    failures.append(repr(error))

    threads = [threading.Thread(target=load, args=(any_node.call,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        any_node.write_whole()
    stop.set()
    for thread in threads:
        thread.join(10)
    assert failures == []
