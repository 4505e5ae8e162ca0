"""Decide a family's policy: how this node's Pods are told from others, and where NodePorts answer. No I/O."""

from collections.abc import Iterable

from pyproxy.decide import chains
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.options import DetectLocal, Options


def decide(
    options: Options,
    family: Family,
    *,
    node_ips: Iterable[Address],
    pod_cidrs: Iterable[Prefix],
    machine_ips: Iterable[Address],
    service_cidrs: Iterable[Prefix],
) -> chains.Policy:
    """The policy of a family from the options, the Node object and the machine's addresses."""
    node_port_ips = _node_port_ips(options, family, node_ips, machine_ips)
    return chains.Policy(
        family,
        masquerade_mark=1 << options.masquerade_bit,
        masquerade_all=options.masquerade_all,
        local_source=_local_source(options, family, pod_cidrs),
        node_port_ips=node_port_ips,
        service_cidrs=tuple(sorted((p for p in service_cidrs if p.family is family), key=str)),
        counting=options.counting,
        loopback_node_ports=options.node_ports.loopback
        and family is Family.IPV4
        and (node_port_ips is None or any(map(_loopback, node_port_ips))),
        drop_invalid=options.drop_invalid,
    )


def answering(policy: chains.Policy, machine_ips: Iterable[Address]) -> tuple[Address, ...]:
    """The addresses a family's NodePorts answer on, by name also where they answer on all that the machine has."""
    if policy.node_port_ips is not None:
        return policy.node_port_ips
    own = (ip for ip in machine_ips if len(ip) == policy.family.value)
    return tuple(sorted(ip for ip in own if policy.loopback_node_ports or not _loopback(ip)))


def _local_source(options: Options, family: Family, pod_cidrs: Iterable[Prefix]) -> chains.LocalSource | None:
    match options.detect_local:
        case DetectLocal.CLUSTER_CIDR:
            return _first(options.cluster_cidrs, family)
        case DetectLocal.NODE_CIDR:
            return _first(pod_cidrs, family)
        case DetectLocal.BRIDGE_INTERFACE:
            return rs.InputInterface(options.interface) if options.interface else None
        case DetectLocal.INTERFACE_NAME_PREFIX:
            return rs.InputInterface(options.interface + "*") if options.interface else None


def _first(prefixes: Iterable[Prefix], family: Family) -> rs.SourceIn | None:
    return next((rs.SourceIn(prefix) for prefix in prefixes if prefix.family is family), None)


def _node_port_ips(
    options: Options, family: Family, node_ips: Iterable[Address], machine_ips: Iterable[Address]
) -> tuple[Address, ...] | None:
    chosen = options.node_ports
    if family in chosen.everywhere:
        return None
    found = {ip for ip in node_ips if chosen.primary}
    found |= {ip for ip in machine_ips if any(ip in prefix for prefix in chosen.prefixes)}
    allowed = chosen.loopback and family is Family.IPV4
    return tuple(sorted(ip for ip in found if len(ip) == family.value and (allowed or not _loopback(ip))))


def _loopback(address: Address) -> bool:
    return address[0] == 127 if len(address) == 4 else address == bytes(15) + b"\x01"
