"""Where NodePorts answer, by mode, prefix and family."""

import msgspec
import pytest

from pyproxy import translate
from pyproxy.config.settings import IPTables, Settings
from pyproxy.decide import policies
from pyproxy.decide.chains import Policy
from pyproxy.model import address as addresses
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.options import NodePorts, Options


def ip(text: str) -> Address:
    found = addresses.parse(text)
    assert found is not None
    return found


def cidr(text: str) -> Prefix:
    found = addresses.parse_prefix(text)
    assert found is not None
    return found


MACHINE = [ip(text) for text in ("127.0.0.1", "::1", "198.18.0.1", "198.18.0.2", "fd00::1")]
NODE = [ip("198.18.0.1"), ip("fd00::1")]
BOTH = frozenset(Family)


@pytest.mark.parametrize(
    ("chosen", "v4", "v6", "on_loopback"),
    [
        pytest.param(NodePorts(), ["198.18.0.1"], ["fd00::1"], False, id="the Node's own"),
        pytest.param(NodePorts(everywhere=BOTH), None, None, False, id="everywhere"),
        pytest.param(NodePorts(everywhere=BOTH, loopback=True), None, None, True, id="everywhere and on loopback"),
        pytest.param(
            NodePorts(False, frozenset({Family.IPV6}), (cidr("198.18.0.2/32"),)), ["198.18.0.2"], None, False,
            id="one family everywhere, the other in a prefix",
        ),
        pytest.param(
            NodePorts(prefixes=(cidr("127.0.0.0/8"), cidr("::1/128")), primary=False, loopback=True),
            ["127.0.0.1"], [], True, id="on loopback alone, which IPv6 can't",
        ),
        pytest.param(
            NodePorts(prefixes=(cidr("127.0.0.0/8"), cidr("::1/128")), primary=False), [], [], False,
            id="loopback is asked for and not allowed",
        ),
    ],
)  # fmt: skip
def test_node_ports(chosen: NodePorts, v4: list[str] | None, v6: list[str] | None, on_loopback: bool) -> None:
    for family, wanted in ((Family.IPV4, v4), (Family.IPV6, v6)):
        policy = policies.decide(
            Options("n", node_ports=chosen), family,
            node_ips=NODE, pod_cidrs=(), machine_ips=MACHINE, service_cidrs=(),
        )  # fmt: skip
        assert policy.node_port_ips == (None if wanted is None else tuple(ip(text) for text in wanted))
        assert policy.loopback_node_ports == (on_loopback and family is Family.IPV4)


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        pytest.param(Policy(Family.IPV4, node_port_ips=(ip("198.18.0.1"),)), ["198.18.0.1"], id="those that are named"),
        pytest.param(Policy(Family.IPV4, node_port_ips=()), [], id="none"),
        pytest.param(
            Policy(Family.IPV4, node_port_ips=None), ["198.18.0.1", "198.18.0.2"], id="everywhere is not on loopback"
        ),
        pytest.param(Policy(Family.IPV6, node_port_ips=None), ["fd00::1"], id="everywhere in IPv6"),
        pytest.param(
            Policy(Family.IPV4, node_port_ips=None, loopback_node_ports=True),
            ["127.0.0.1", "198.18.0.1", "198.18.0.2"],
            id="everywhere and on loopback",
        ),
    ],
)
def test_the_addresses_node_ports_answer_on(policy: Policy, wanted: list[str]) -> None:
    assert [addresses.text(one) for one in policies.answering(policy, MACHINE)] == wanted


# By entries of nodePortAddresses: where each family answers in both modes (None is everywhere), and whether 127.0.0.1
# may in the iptables mode. As NewNodePortAddresses of the genuine kube-proxy, which reads each family by itself.
ROWS = [
    pytest.param("198.18.0.2/31,::/0", ["198.18.0.2"], None, False, id="the zero of IPv6 is not of IPv4"),
    pytest.param("0.0.0.0/0,fd00::/64", None, ["fd00::1"], True, id="the zero of IPv4 is not of IPv6"),
    pytest.param("198.18.0.2/31", ["198.18.0.2"], None, False, id="IPv6 of which nothing is said is everywhere"),
    pytest.param("fd00::/64", None, ["fd00::1"], True, id="IPv4 of which nothing is said is everywhere"),
    pytest.param("198.18.0.2/31,0.0.0.0/0", None, None, True, id="a zero leaves nothing to other prefixes"),
    pytest.param("all", None, None, True, id="all"),
    pytest.param("primary", ["198.18.0.1"], ["fd00::1"], False, id="primary speaks of both families"),
    pytest.param("primary,198.18.0.2/31", ["198.18.0.1", "198.18.0.2"], ["fd00::1"], False, id="primary and a prefix"),
    pytest.param("primary,::/0", ["198.18.0.1"], None, False, id="primary and the zero of IPv6"),
    pytest.param("128.0.0.0/1", ["198.18.0.1", "198.18.0.2"], None, False, id="a prefix that holds no loopback"),
]


@pytest.mark.parametrize("mode", ["nftables", "iptables"])
@pytest.mark.parametrize(("entries", "v4", "v6", "on_loopback"), ROWS)
def test_each_family_is_read_by_itself(
    mode: str, entries: str, v4: list[str] | None, v6: list[str] | None, on_loopback: bool
) -> None:
    settings = msgspec.structs.replace(Settings(), mode=mode, node_port_addresses=tuple(entries.split(",")))
    assert _answering(settings) == (v4, v6, on_loopback and mode == "iptables")


@pytest.mark.parametrize(
    ("settings", "v4", "v6", "on_loopback"),
    [
        pytest.param(Settings(mode="nftables"), ["198.18.0.1"], ["fd00::1"], False, id="nftables by default"),
        pytest.param(Settings(mode="iptables"), None, None, True, id="iptables by default"),
        pytest.param(
            Settings(mode="iptables", iptables=IPTables(localhost_node_ports=False)), None, None, False,
            id="iptables by default, not on loopback",
        ),
        pytest.param(
            Settings(mode="nftables", node_port_addresses=("localhost",)), [], [], False,
            id="localhost in nftables is nowhere",
        ),
        pytest.param(
            Settings(mode="iptables", node_port_addresses=("localhost",)), ["127.0.0.1"], [], True,
            id="localhost in iptables is 127.0.0.1",
        ),
    ],
)  # fmt: skip
def test_where_the_modes_differ(
    settings: Settings, v4: list[str] | None, v6: list[str] | None, on_loopback: bool
) -> None:
    assert _answering(settings) == (v4, v6, on_loopback)


def test_primary_opens_no_family_of_which_the_node_has_no_address() -> None:
    assert _answering(Settings(node_port_addresses=("primary",)), node=NODE[:1]) == (["198.18.0.1"], [], False)


def _answering(settings: Settings, *, node: list[Address] = NODE) -> tuple[list[str] | None, list[str] | None, bool]:
    options = translate.options(settings)
    found = []
    for family in Family:
        policy = policies.decide(
            options, family, node_ips=node, pod_cidrs=(), machine_ips=MACHINE, service_cidrs=()
        )  # fmt: skip
        ips = policy.node_port_ips
        found.append(None if ips is None else [addresses.text(ip) for ip in ips])
    return found[0], found[1], options.node_ports.loopback
