"""Turn a ServicePort and its chosen endpoints into frontends and slots. No I/O."""

from collections.abc import Iterable
from functools import lru_cache

from pyproxy.decide import maglev, topology
from pyproxy.model import keys
from pyproxy.model.address import Address, Prefix
from pyproxy.model.ports import Balance, Endpoint, ServicePort
from pyproxy.model.program import Backends, Frontend, Program
from pyproxy.model.ruleset import ChainKey, Kind, Verdict

_chain = lru_cache(maxsize=4096)(ChainKey)  # most Services share a few: each is kept once


def build(
    port: ServicePort,
    choice: topology.Choice,
    *,
    node_ip: Address | None = None,
    before: Program | None = None,
) -> Program:
    """The program of a ServicePort; endpoints that were in `before` keep their slots where they can.

    `node_ip` inside a source range admits the Service's own addresses as sources too: a node that calls a load
    balancer's address it holds itself does so from that very address.
    """
    cluster = _slots(port, choice.cluster, () if before is None else before.cluster)
    local = _slots(port, choice.local, () if before is None else before.local)
    counts = {Backends.CLUSTER: len(cluster), Backends.LOCAL: len(local), Backends.NONE: 0}
    protocol = port.name.protocol
    internal = Backends.LOCAL if port.internal_local else Backends.CLUSTER
    frontends = [
        _internal(port, keys.service(port.cluster_ip, protocol, port.port), internal, counts[internal], choice.anywhere)
    ]
    taken = {port.cluster_ip}
    for address in (*port.external_ips, *port.vips):
        if address not in taken:
            taken.add(address)
            ranges = _sources(port, node_ip) if address in port.vips else ()
            key = keys.service(address, protocol, port.port)
            frontends.append(_external(port, key, counts, ranges, choice.anywhere))
    if port.node_port:
        key = keys.node_port(protocol, port.node_port)
        frontends.append(_external(port, key, counts, (), choice.anywhere))
    used = {frontend.backends for frontend in frontends}
    short = any(frontend.short is not None for frontend in frontends)
    return Program(
        frontends=tuple(frontends),
        cluster=cluster if Backends.CLUSTER in used or short else (),
        local=local if Backends.LOCAL in used else (),
        cluster_ip=port.cluster_ip,
        hairpins=frozenset(
            keys.hairpin(keys.endpoint(e.address, e.port), protocol)
            for e in (*choice.cluster, *choice.local)
            if e.local
        ),
        health_check_port=port.health_check_node_port,
    )


def _internal(port: ServicePort, key: bytes, backends: Backends, count: int, anywhere: bool) -> Frontend:
    if not anywhere:
        return Frontend(key, _chain(Kind.REJECT))
    if not count:
        return Frontend(key, Verdict.DROP)
    hashed = port.balance is Balance.MAGLEV
    chain = _chain(Kind.CLUSTER, count, affinity=port.affinity_seconds > 0, maglev=hashed)
    return Frontend(key, chain, backends, affinity_seconds=port.affinity_seconds)


def _external(
    port: ServicePort, key: bytes, counts: dict[Backends, int], ranges: tuple[Prefix, ...], anywhere: bool
) -> Frontend:
    node_port, affinity, hashed = len(key) == 8, port.affinity_seconds > 0, port.balance is Balance.MAGLEV
    if not anywhere:
        return Frontend(key, _chain(Kind.REJECT, ranges=bool(ranges)), sources=ranges)
    kind, backends, short = Kind.EXTERNAL, Backends.CLUSTER, None
    if port.external_local:
        kind, backends = Kind.LOCAL, Backends.LOCAL
        short = _chain(Kind.SHORT, counts[Backends.CLUSTER], node_port, affinity, maglev=hashed)
    chain = _chain(kind, counts[backends], node_port, affinity, bool(ranges), hashed)
    return Frontend(key, chain, backends, short, port.affinity_seconds, ranges)


def _sources(port: ServicePort, node_ip: Address | None) -> tuple[Prefix, ...]:
    ranges = port.source_ranges
    if not ranges:
        return ()
    if node_ip is not None and any(node_ip in allowed for allowed in ranges):
        ranges = (*ranges, *(Prefix(vip, len(vip) * 8) for vip in port.vips))
    # Interval sets refuse overlaps, and two CIDR blocks overlap only when one holds the other.
    widest_first = sorted(set(ranges), key=lambda prefix: prefix.length)
    kept: list[Prefix] = []
    for prefix in widest_first:
        if not any(prefix.address in wider for wider in kept):
            kept.append(prefix)
    return tuple(kept)


def _slots(port: ServicePort, endpoints: Iterable[Endpoint], before: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The endpoints in as many slots as their weight, or in those of a Maglev table.

    When all that are left weigh nothing they count as one each: a weight is a wish, no reason to refuse.
    """
    if not port.node_weights and port.balance is Balance.RANDOM:
        return arrange(tuple(dict.fromkeys(keys.endpoint(e.address, e.port) for e in endpoints)), before)
    shares = dict(port.node_weights)
    weights = {keys.endpoint(e.address, e.port): shares.get(e.node, 1) for e in endpoints}
    if not any(weights.values()):
        weights = dict.fromkeys(weights, 1)
    if port.balance is Balance.MAGLEV:
        return maglev.table(weights)
    return tuple(backend for backend, weight in weights.items() for _ in range(weight))


def arrange(wanted: tuple[bytes, ...], before: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The wanted endpoints in an order that moves as few as possible: 0..n-1 without holes.

    One that stays keeps its slot unless the list got shorter than that; holes are filled with new ones, then with those
    that lost their slot.
    """
    if not before or wanted == before:
        return wanted
    keep = set(wanted)
    slots: list[bytes | None] = [backend if backend in keep else None for backend in before[: len(wanted)]]
    slots += [None] * (len(wanted) - len(slots))
    placed = {backend for backend in slots if backend is not None}
    spare = iter([backend for backend in wanted if backend not in placed])
    return tuple(next(spare) if backend is None else backend for backend in slots)
