"""Decide a family's policy: how this node's Pods are told from others, and where NodePorts answer. No I/O."""

from collections.abc import Iterable

from pyproxy.decide import chains
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.settings import DetectLocal, Settings


def decide(
    settings: Settings,
    family: Family,
    *,
    node_ips: Iterable[Address],
    pod_cidrs: Iterable[Prefix],
    machine_ips: Iterable[Address],
    service_cidrs: Iterable[Prefix],
) -> chains.Policy:
    """The policy of a family from the settings, the Node object and the machine's addresses."""
    return chains.Policy(
        family,
        masquerade_mark=1 << settings.masquerade_bit,
        masquerade_all=settings.masquerade_all,
        local_source=_local_source(settings, family, pod_cidrs),
        node_port_ips=_node_port_ips(settings, family, node_ips, machine_ips),
        service_cidrs=tuple(sorted((p for p in service_cidrs if p.family is family), key=str)),
    )


def _local_source(settings: Settings, family: Family, pod_cidrs: Iterable[Prefix]) -> chains.LocalSource | None:
    match settings.detect_local:
        case DetectLocal.CLUSTER_CIDR:
            return _first(settings.cluster_cidrs, family)
        case DetectLocal.NODE_CIDR:
            return _first(pod_cidrs, family)
        case DetectLocal.BRIDGE_INTERFACE:
            return rs.InputInterface(settings.interface) if settings.interface else None
        case DetectLocal.INTERFACE_NAME_PREFIX:
            return rs.InputInterface(settings.interface + "*") if settings.interface else None


def _first(prefixes: Iterable[Prefix], family: Family) -> rs.SourceIn | None:
    return next((rs.SourceIn(prefix) for prefix in prefixes if prefix.family is family), None)


def _node_port_ips(
    settings: Settings, family: Family, node_ips: Iterable[Address], machine_ips: Iterable[Address]
) -> tuple[Address, ...] | None:
    if settings.node_ports is None:
        return tuple(sorted({ip for ip in node_ips if len(ip) == family.value}))
    wanted = [prefix for prefix in settings.node_ports if prefix.family is family]
    if not settings.node_ports or any(prefix.length == 0 for prefix in wanted):
        return None
    chosen = {ip for ip in machine_ips if any(ip in prefix for prefix in wanted) and not _loopback(ip)}
    return tuple(sorted(chosen))


def _loopback(address: Address) -> bool:
    return address[0] == 127 if len(address) == 4 else address == bytes(15) + b"\x01"
