"""What a cluster is asked to be, and its addresses."""

import ipaddress

import msgspec
import pytest

from devcluster import spec
from devcluster.errors import DevClusterError
from devcluster.spec import Agent, ClusterSpec, Family, NodeSpec


@pytest.mark.parametrize(
    ("text", "node"),
    [
        pytest.param("n1", NodeSpec("n1", Agent.OURS, Agent.OURS), id="a bare name runs both of ours"),
        pytest.param("n2=genuine", NodeSpec("n2", Agent.GENUINE, Agent.GENUINE), id="genuine means both agents"),
        pytest.param("n2=genuine-kubelet", NodeSpec("n2", Agent.GENUINE, Agent.OURS), id="only the kubelet is genuine"),
        pytest.param("n12=genuine-proxy", NodeSpec("n12", Agent.OURS, Agent.GENUINE), id="only the proxy is genuine"),
        pytest.param("n3=bare", NodeSpec("n3", Agent.NONE, Agent.NONE), id="a bare node runs containerd alone"),
    ],
)
def test_a_node_on_the_command_line(text, node):
    assert spec.parse_node(text) == node


@pytest.mark.parametrize("kind", spec.NODE_KINDS)
def test_every_kind_is_written_as_it_is_read(kind):
    assert spec.kind_of(spec.parse_node(f"n1={kind}")) == kind


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("worker", "named n1 to n99", id="a name without its number"),
        pytest.param("n0", "named n1 to n99", id="numbers begin with one"),
        pytest.param("n100", "named n1 to n99", id="three digits have no address"),
        pytest.param("n1=docker", "'docker' is none of ours, genuine", id="an unknown kind"),
    ],
)
def test_a_node_that_cannot_be(text, said):
    with pytest.raises(DevClusterError, match=said):
        spec.parse_node(text)


def test_chosen_nodes_replace_the_default_ones_and_may_lie_beyond_them():
    chosen = (spec.parse_node("n2=genuine"), spec.parse_node("n5=bare"))
    nodes = spec.nodes_of(2, chosen)
    assert [(node.name, spec.kind_of(node)) for node in nodes] == [("n1", "ours"), ("n2", "genuine"), ("n5", "bare")]


@pytest.mark.parametrize(
    ("count", "changed", "expected"),
    [
        pytest.param(None, [], ["n1=ours", "n2=genuine", "n5=bare"], id="nothing said: as it is"),
        pytest.param(None, ["n2=ours", "n7"], ["n1=ours", "n2=ours", "n5=bare", "n7=ours"], id="one changed, one more"),
        pytest.param(1, [], ["n1=ours"], id="fewer"),
        pytest.param(3, [], ["n1=ours", "n2=genuine", "n3=ours"], id="so many"),
    ],
)
def test_what_is_not_said_of_nodes_stays_as_it_is(count, changed, expected):
    there = tuple(spec.parse_node(text) for text in ("n1", "n2=genuine", "n5=bare"))
    nodes = spec.chosen(there, count, [spec.parse_node(text) for text in changed])
    assert [f"{node.name}={spec.kind_of(node)}" for node in nodes] == expected


@pytest.mark.parametrize("name", ["", "Dev", "1st", "a" * 16, "a_b", "a/b"])
def test_names_that_no_namespace_may_have(name):
    with pytest.raises(DevClusterError, match="must be 1 to 15"):
        spec.check_name(name)


@pytest.mark.parametrize("plan", [spec.V4, spec.V6], ids=["IPv4", "IPv6"])
def test_no_two_members_share_an_address_and_no_two_nodes_a_pod_range(plan):
    members = [plan.control_plane(index) for index in (1, 2, 3)] + [plan.balancer, plan.gateway]
    members += [plan.node(index) for index in range(1, spec.MAX_NODES + 1)]
    addresses = [ipaddress.ip_address(member) for member in members]
    assert len(set(addresses)) == len(addresses)
    hosts = ipaddress.ip_network(f"{plan.control_plane()}/{plan.host_bits}", strict=False)
    assert all(address in hosts for address in addresses)
    ranges = [ipaddress.ip_network(plan.node_pods(index)) for index in range(1, spec.MAX_NODES + 1)]
    assert len(set(ranges)) == len(ranges)
    assert all(found.subnet_of(ipaddress.ip_network(plan.pods)) for found in ranges)
    services = ipaddress.ip_network(plan.services)
    assert ipaddress.ip_address(plan.dns) in services
    assert not services.overlaps(ipaddress.ip_network(plan.pods))


@pytest.mark.parametrize(
    ("wanted", "url"),
    [
        pytest.param(ClusterSpec(), "https://198.18.0.1:6443", id="one API server is dialled itself"),
        pytest.param(
            ClusterSpec(api_servers=3), "https://198.18.0.9:6443", id="three are dialled through the balancer"
        ),
        pytest.param(ClusterSpec(family=Family.IPV6), "https://[fd00:18::1]:6443", id="IPv6 stands in brackets"),
    ],
)
def test_where_the_api_is(wanted, url):
    assert wanted.api_url == url


def test_a_spec_survives_its_file():
    wanted = ClusterSpec("x", spec.nodes_of(3, (spec.parse_node("n2=genuine-proxy"),)), 3, Family.DUAL, "/opt/bin")
    assert msgspec.json.decode(msgspec.json.encode(wanted), type=ClusterSpec) == wanted


def test_a_changed_node_takes_the_place_of_the_old_one():
    wanted = ClusterSpec().with_node(NodeSpec("n1", Agent.GENUINE, Agent.NONE))
    assert [node.name for node in wanted.nodes] == ["n1", "n2"]
    assert wanted.node("n1").kubelet is Agent.GENUINE
    assert [node.name for node in wanted.without_node("n1").nodes] == ["n2"]


def test_an_unknown_node_is_said_with_those_there_are():
    with pytest.raises(DevClusterError, match="it has n1, n2"):
        ClusterSpec().node("n7")
