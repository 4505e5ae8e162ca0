"""Write the chains that all Services share: the ways from the hooks to a frontend, masquerading, forwarding. No I/O.

iptables tries rules one after the other. So frontends are in groups, one for each block of 256 addresses or NodePorts:
a packet passes one rule for each group and then those of one group, and a change rewrites one group.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pyproxy.decide.chains import Policy
from pyproxy.decide.iptables.services import REJECT
from pyproxy.model import keys
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.iptables import (
    PREFIX,
    Accept,
    ChainId,
    Chains,
    Goto,
    InState,
    Part,
    Rule,
    State,
    Table,
    ToPorts,
)
from pyproxy.model.ports import Protocol

SERVICES: Final = f"{PREFIX}SERVICES"
NODE_PORTS: Final = f"{PREFIX}NODEPORTS"
REFUSE: Final = f"{PREFIX}REFUSE"
UNSERVED: Final = f"{PREFIX}UNSERVED"
POSTROUTING: Final = f"{PREFIX}POSTROUTING"
MASQUERADE: Final = f"{PREFIX}MASQUERADE"
FORWARD: Final = f"{PREFIX}FORWARD"
FIREWALL: Final = f"{PREFIX}FIREWALL"
HEALTH: Final = f"{PREFIX}HEALTH"
_GROUP_BITS: Final = 8


@dataclass(frozen=True, slots=True)
class PortBlock:
    """256 NodePorts of a protocol, from `first` on."""

    protocol: Protocol
    first: int

    @property
    def last(self) -> int:
        """The highest port of the block."""
        return self.first + (1 << _GROUP_BITS) - 1


Group = Prefix | PortBlock


def group_of(frontend: bytes) -> Group:
    """The group of a frontend's key."""
    address, protocol, port = keys.read_service(frontend)
    return group_of_address(address) if address else PortBlock(protocol, port >> _GROUP_BITS << _GROUP_BITS)


def group_of_address(address: bytes) -> Prefix:
    """The group of an address."""
    return Prefix(Address(address[:-1] + b"\0"), len(address) * 8 - _GROUP_BITS)


def group_chain(group: Group, table: Table) -> ChainId:
    """The chain that holds a group's rules in a table."""
    kind = "N" if table is Table.NAT else "F"
    match group:
        case Prefix():
            return ChainId(table, f"{PREFIX}{kind}-{_short(group)}")
        case PortBlock():
            return ChainId(table, f"{PREFIX}{kind}-{group.protocol.name}-{group.first}")


def _short(group: Prefix) -> str:
    """IPv6 has to be shortened, to 80 bits of a hash."""
    if group.family is Family.IPV4:
        return group.address.hex()
    return base64.b32encode(hashlib.sha256(group.address).digest()[:10]).decode()


def base(policy: Policy, groups: Iterable[tuple[Table, Group]], health_checks: Iterable[int]) -> Chains:
    """The chains that are always there; `groups` are those with a chain of their own in a table.

    `health_checks` are the ports where load balancers ask for local endpoints: a firewall must not stop them.
    """
    ordered = sorted(groups, key=lambda one: (one[0].value, str(one[1])))
    made: dict[ChainId, list[Rule]] = {
        ChainId(Table.NAT, SERVICES): [],
        ChainId(Table.NAT, NODE_PORTS): [],
        ChainId(Table.FILTER, REFUSE): [],
        ChainId(Table.FILTER, NODE_PORTS): [],
    }
    for table, group in ordered:
        chain = group_chain(group, table).name
        match group:
            case Prefix():
                start = ChainId(table, SERVICES if table is Table.NAT else REFUSE)
                made[start].append((rs.DestinationIn(group), rs.Jump(chain)))
            case PortBlock():
                ports = ToPorts(group.protocol, group.first, group.last)
                made[ChainId(table, NODE_PORTS)].append((ports, Goto(chain)))
    for start in (ChainId(Table.NAT, SERVICES), ChainId(Table.FILTER, REFUSE)):
        if made[ChainId(start.table, NODE_PORTS)]:
            made[start].extend((*guard, rs.Jump(NODE_PORTS)) for guard in _node_port_guards(policy))
    # A ClusterIP that this machine holds itself belongs to whoever put it there, such as a DNS cache on the node.
    elsewhere = rs.DestinationLocal(negated=True)
    made[ChainId(Table.FILTER, REFUSE)].extend(
        (rs.DestinationIn(cidr), elsewhere, rs.Drop()) for cidr in policy.service_cidrs
    )
    mark = policy.masquerade_mark
    made[ChainId(Table.FILTER, UNSERVED)] = [(elsewhere, Goto(REJECT))]
    made[ChainId(Table.FILTER, REJECT)] = [(rs.OverTcp(), rs.Reset()), (rs.Reject(),)]
    made[ChainId(Table.FILTER, FORWARD)] = _forward(policy)
    made[ChainId(Table.FILTER, HEALTH)] = [
        (ToPorts(Protocol.TCP, port, port), Accept()) for port in sorted(health_checks)
    ]
    made[ChainId(Table.NAT, POSTROUTING)] = [(rs.Marked(mark), rs.Jump(MASQUERADE))]
    made[ChainId(Table.NAT, MASQUERADE)] = [(rs.FlipMark(mark),), (rs.Masquerade(),)]
    if _on_loopback(policy):
        made[ChainId(Table.FILTER, FIREWALL)] = [_no_martians()]
    return {chain: tuple(rules) for chain, rules in made.items()}


def hooks(policy: Policy) -> tuple[tuple[ChainId, Rule], ...]:
    """The rules of built-in chains that lead to ours, each to be the first of its chain; the last comes out on top."""
    new = InState((State.NEW,))
    nat = [
        ("PREROUTING", (rs.Jump(SERVICES),)),
        ("OUTPUT", (rs.Jump(SERVICES),)),
        ("POSTROUTING", (rs.Jump(POSTROUTING),)),
    ]
    filters: list[tuple[str, Rule]] = [("FORWARD", (rs.Jump(FORWARD),)), ("INPUT", (rs.Jump(HEALTH),))]
    filters += [(chain, (new, rs.Jump(REFUSE))) for chain in ("INPUT", "FORWARD", "OUTPUT")]
    if _on_loopback(policy):
        filters += [(chain, (rs.Jump(FIREWALL),)) for chain in ("INPUT", "OUTPUT")]
    return (
        *((ChainId(Table.NAT, chain), rule) for chain, rule in nat),
        *((ChainId(Table.FILTER, chain), rule) for chain, rule in filters),
    )


def unserved(cluster_ip: bytes) -> Rule:
    """What is for no port of a ClusterIP is refused; it stands after the rules of the ports."""
    return (rs.DestinationIn(Prefix(Address(cluster_ip), len(cluster_ip) * 8)), Goto(UNSERVED))


def _node_port_guards(policy: Policy) -> list[tuple[Part, ...]]:
    if policy.node_port_ips is not None:
        return [(rs.DestinationIn(Prefix(ip, len(ip) * 8)),) for ip in policy.node_port_ips]
    local = rs.DestinationLocal()
    if _on_loopback(policy):
        return [(local,)]
    loopback = Prefix(Address(bytes((127, 0, 0, 0))), 8)
    if policy.family is Family.IPV6:
        loopback = Prefix(Address(bytes(15) + b"\x01"), 128)
    return [(rs.DestinationIn(loopback, negated=True), local)]


def _on_loopback(policy: Policy) -> bool:
    """The kernel never routes what ::1 sends to another machine."""
    return policy.loopback_node_ports and policy.family is Family.IPV4


def _no_martians() -> Rule:
    """With route_localnet set neighbours could call what listens on 127.0.0.1. Source: CVE-2020-8558."""
    loopback = Prefix(Address(bytes((127, 0, 0, 0))), 8)
    known = InState((State.RELATED, State.ESTABLISHED, State.DNAT), negated=True)
    return (rs.SourceIn(loopback, negated=True), rs.DestinationIn(loopback), known, rs.Drop())


def _forward(policy: Policy) -> list[Rule]:
    """What was let in as NodePort traffic goes through, whatever the machine's own policy for forwarding.

    A packet that conntrack can't place would reach the client under the endpoint's address, and its answer would reset
    the connection. Source: kubernetes/kubernetes issue 74839.
    """
    drop: list[Rule] = [(InState((State.INVALID,)), rs.Drop())] if policy.drop_invalid else []
    return [
        *drop,
        (rs.Marked(policy.masquerade_mark), Accept()),
        (InState((State.RELATED, State.ESTABLISHED)), Accept()),
    ]
