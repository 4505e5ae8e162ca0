"""Write the shared chains and the base chains: what happens to a packet for each kind of frontend. No I/O."""

from dataclasses import dataclass
from typing import assert_never

from pyproxy.model import ruleset as rs
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.ruleset import Chain, ChainKey, Field, Hook, Kind, Rule, Set

LocalSource = rs.SourceIn | rs.InputInterface
"""How a packet from one of this node's Pods is told from others."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration and the node say about one family's ruleset.

    `local_source` None means Pods can't be told from others: ClusterIP traffic is then not masqueraded, and Pods are
    not short-circuited. `node_port_ips` None means NodePorts answer on every address but loopback.
    Of use in the iptables mode alone: `loopback_node_ports` has them answer on 127.0.0.1 too, and `drop_invalid` keeps
    packets that conntrack can't place from being forwarded.
    """

    family: Family
    masquerade_mark: int = 1 << 14
    masquerade_all: bool = False
    local_source: LocalSource | None = None
    node_port_ips: tuple[Address, ...] | None = ()
    service_cidrs: tuple[Prefix, ...] = ()
    counting: rs.Counting = rs.Counting.NOTHING
    loopback_node_ports: bool = False
    drop_invalid: bool = True


def shared(key: ChainKey, policy: Policy) -> Chain:
    """The chain of a kind and endpoint count."""
    return Chain(key.name, tuple(_rules(key, policy)))


def _rules(key: ChainKey, policy: Policy) -> list[Rule]:
    mark: Rule = (rs.SetMark(policy.masquerade_mark),)
    guard: list[Rule] = []
    if key.ranges:
        guard.append((rs.InSet(rs.CLIENT_KEY, Set.SOURCE_RANGES, negated=True), rs.Drop()))
    match key.kind:
        case Kind.CLUSTER:
            return [*guard, *_masquerade_outsiders(policy), *_balance(key)]
        case Kind.EXTERNAL:
            return [*guard, mark, *_balance(key)]
        case Kind.LOCAL:
            return [*guard, *_short_circuits(key, policy), *_balance(key)]
        case Kind.SHORT:
            return _balance(key)
        case Kind.REJECT:
            return [*guard, (rs.OverTcp(), rs.Reset()), (rs.Reject(),)]
        case Kind.LEARN:
            return _learn(key)
    assert_never(key.kind)


def _masquerade_outsiders(policy: Policy) -> list[Rule]:
    """Whoever is not a Pod of this node may be answered by another way than it came, unless the source is rewritten."""
    mark = rs.SetMark(policy.masquerade_mark)
    if policy.masquerade_all:
        return [(mark,)]
    match policy.local_source:
        case rs.SourceIn(prefix):
            return [(rs.SourceIn(prefix, negated=True), mark)]
        case rs.InputInterface(name):
            return [(rs.InputInterface(name, negated=True), mark)]
        case None:
            return []


def _short_circuits(key: ChainKey, policy: Policy) -> list[Rule]:
    """Clients on this node reach any endpoint, as if they had gone out to the load balancer and come back."""
    divert = rs.Dispatch(_fields(key), Set.NODE_PORT_SHORT_CIRCUITS if key.node_port else Set.SHORT_CIRCUITS)
    rules: list[Rule] = [] if policy.local_source is None else [(policy.local_source, divert)]
    rules.append((rs.SourceLocal(), rs.SetMark(policy.masquerade_mark)))
    rules.append((rs.SourceLocal(), divert))
    return rules


def _balance(key: ChainKey) -> list[Rule]:
    """A remembered endpoint, else one of `number` at random.

    The drop at the end is reached only by a packet that meets a change half way: the client's next try is a new
    connection, where an untranslated one would stay untranslated.
    """
    rules: list[Rule] = []
    if key.number:
        if key.affinity:
            rules.append((rs.Translate(rs.CLIENT_KEY, Set.AFFINITY),))
        rules.append((rs.Translate(_fields(key), _endpoints(key), slots=key.number, hashed=key.maglev),))
    rules.append((rs.Drop(),))
    return rules


def _learn(key: ChainKey) -> list[Rule]:
    """Remember where the connection went, or refuse an endpoint that has left and forget it."""
    if key.node_port:
        fields: tuple[Field, ...] = (*rs.ORIGINAL_NODE_PORT_KEY, *rs.BACKEND)
        valid = Set.NODE_PORT_AFFINITY_ENDPOINTS
    else:
        fields, valid = (*rs.ORIGINAL_KEY, *rs.BACKEND), Set.AFFINITY_ENDPOINTS
    return [
        (rs.InSet(fields, valid), rs.Remember(key.number)),
        (rs.InSet(fields, valid, negated=True), rs.Forget(), rs.Drop()),
    ]


def _fields(key: ChainKey) -> tuple[Field, ...]:
    return rs.NODE_PORT_KEY if key.node_port else rs.SERVICE_KEY


def _endpoints(key: ChainKey) -> Set:
    if key.kind is Kind.SHORT:
        return Set.NODE_PORT_SHORT_ENDPOINTS if key.node_port else Set.SHORT_ENDPOINTS
    return Set.NODE_PORT_ENDPOINTS if key.node_port else Set.ENDPOINTS


def base(policy: Policy, *, learning: bool) -> tuple[Chain, ...]:
    """The chains that are always there: dispatch and the four hooks. `learning`: some Service has session affinity."""
    learn: tuple[Rule, ...] = ()
    if learning:
        learn = (
            (rs.Translated(), rs.Dispatch(rs.ORIGINAL_KEY, Set.AFFINITY_TIMEOUTS)),
            (rs.Translated(), rs.Dispatch(rs.ORIGINAL_NODE_PORT_KEY, Set.NODE_PORT_AFFINITY_TIMEOUTS)),
        )
    return (
        dispatch(policy),
        Chain("prerouting", ((rs.Jump("dispatch"),),), Hook.PREROUTING, -100),
        Chain("output", ((rs.Jump("dispatch"),),), Hook.OUTPUT, -100),
        Chain("input", learn, Hook.INPUT, 100),
        Chain("postrouting", (*learn, *_postrouting(policy)), Hook.POSTROUTING, 100),
    )


def dispatch(policy: Policy) -> Chain:
    """Find the frontend a packet is for; what is for no port of a ClusterIP is refused."""
    rules: list[Rule] = [(rs.Dispatch(rs.SERVICE_KEY, Set.SERVICES),)]
    node_ports = rs.Dispatch(rs.NODE_PORT_KEY, Set.NODE_PORTS)
    if policy.node_port_ips is None:
        loopback = Prefix(Address(bytes((127, 0, 0, 0))), 8)
        if policy.family is Family.IPV6:
            loopback = Prefix(Address(bytes(15) + b"\x01"), 128)
        rules.append((rs.DestinationLocal(), rs.DestinationIn(loopback, negated=True), node_ports))
    else:
        rules.append((rs.InSet((Field.DESTINATION,), Set.NODE_PORT_IPS), node_ports))
    # A ClusterIP that this machine holds itself belongs to whoever put it there, such as a DNS cache on the node.
    elsewhere = rs.DestinationLocal(negated=True)
    unserved = rs.InSet((Field.DESTINATION,), Set.CLUSTER_IPS)
    rules.append((unserved, elsewhere, rs.OverTcp(), rs.Reset()))
    rules.append((unserved, elsewhere, rs.Reject()))
    rules.extend((rs.DestinationIn(cidr), elsewhere, rs.Drop()) for cidr in policy.service_cidrs)
    return Chain("dispatch", tuple(rules))


def _postrouting(policy: Policy) -> list[Rule]:
    hairpin = rs.InSet((Field.SOURCE, Field.DESTINATION, Field.PROTOCOL, Field.PORT), Set.HAIRPINS)
    mark = policy.masquerade_mark
    return [
        (rs.Marked(mark), rs.FlipMark(mark), rs.Masquerade()),
        (rs.Translated(), hairpin, rs.Masquerade()),
    ]
