"""Where NodePorts answer, by mode, prefix and family."""

import pytest

from pyproxy.decide import policies
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
ELSE = {"primary": False, "everywhere_else": True}


@pytest.mark.parametrize(
    ("chosen", "v4", "v6", "on_loopback"),
    [
        pytest.param(NodePorts(), ["198.18.0.1"], ["fd00::1"], False, id="the Node's own"),
        pytest.param(NodePorts(everywhere=True), None, None, False, id="everywhere"),
        pytest.param(NodePorts(everywhere=True, loopback=True), None, None, True, id="everywhere and on loopback"),
        pytest.param(
            NodePorts(prefixes=(cidr("198.18.0.2/32"),), **ELSE), ["198.18.0.2"], None, False,
            id="a family nobody spoke of answers everywhere",
        ),
        pytest.param(
            NodePorts(prefixes=(cidr("127.0.0.0/8"), cidr("::1/128")), loopback=True, **ELSE),
            ["127.0.0.1"], [], True, id="on loopback alone, which IPv6 can't",
        ),
        pytest.param(
            NodePorts(prefixes=(cidr("127.0.0.0/8"), cidr("::1/128")), **ELSE), [], [], False,
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
