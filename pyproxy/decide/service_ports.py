"""Read a Service's ports for one family. No I/O.

Bad values are left out, never refused: one odd object must not disturb the others.
"""

from collections.abc import Iterable
from typing import Final

from pyproxy.model import address as addresses
from pyproxy.model import service
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.ports import Balance, PortName, Protocol, ServicePort

DEFAULT_AFFINITY_SECONDS: Final = 10800
MOST_WEIGHT: Final = 100
_PROTOCOLS: Final = {protocol.name: protocol for protocol in Protocol}


def ours(found: service.Service) -> bool:
    """Whether a Service is for this proxy: it has a ClusterIP and names no other proxy."""
    spec = found.spec
    return (
        spec.type != "ExternalName"
        and spec.cluster_ip not in ("", "None")
        and service.PROXY_NAME_LABEL not in found.metadata.labels
    )


def read(found: service.Service, family: Family) -> tuple[ServicePort, ...]:
    """The ports of a Service in a family; none when it has no ClusterIP there."""
    spec = found.spec
    if not ours(found):
        return ()
    cluster_ip = next(iter(_of_family(spec.cluster_ips or (spec.cluster_ip,), family)), None)
    if cluster_ip is None:
        return ()
    external_local = spec.external_traffic_policy == "Local" and (
        spec.type in ("NodePort", "LoadBalancer") or bool(spec.external_ips)
    )
    vips = tuple(_of_family((i.ip for i in found.status.load_balancer.ingress if i.ip_mode in (None, "VIP")), family))
    ports, key = [], found.key
    for port in spec.ports:
        protocol = _PROTOCOLS.get(port.protocol)
        if protocol is None or not _is_port(port.port):
            continue
        ports.append(
            ServicePort(
                name=PortName(key, port.name, protocol),
                cluster_ip=cluster_ip,
                port=port.port,
                node_port=port.node_port if _is_port(port.node_port) else 0,
                external_ips=tuple(_of_family(spec.external_ips, family)),
                vips=vips,
                source_ranges=_source_ranges(spec.load_balancer_source_ranges, family),
                affinity_seconds=_affinity(spec),
                internal_local=spec.internal_traffic_policy == "Local",
                external_local=external_local,
                health_check_node_port=(
                    spec.health_check_node_port if external_local and spec.type == "LoadBalancer" else 0
                ),
                balance=_balance(found),
                node_weights=_node_weights(found),
                reset_connections=found.metadata.annotations.get(service.RESET_CONNECTIONS_ANNOTATION) == "true",
            )
        )
    return tuple(ports)


def _balance(found: service.Service) -> Balance:
    """An unknown value is as none."""
    wanted = found.metadata.annotations.get(service.BALANCE_ANNOTATION)
    return Balance.MAGLEV if wanted == Balance.MAGLEV.value else Balance.RANDOM


def _node_weights(found: service.Service) -> tuple[tuple[str, int], ...]:
    """`n1=5,n2=0`: what does not read so is left out, and what is too much is the most."""
    pairs = (
        part.partition("=") for part in found.metadata.annotations.get(service.NODE_WEIGHTS_ANNOTATION, "").split(",")
    )
    return tuple(
        (node.strip(), min(int(weight), MOST_WEIGHT))
        for node, equals, weight in pairs
        if equals and weight.strip().isascii() and weight.strip().isdigit() and len(weight) < 10
    )


def _is_port(number: int) -> bool:
    return 0 < number < 65536


def _of_family(texts: Iterable[str], family: Family) -> Iterable[Address]:
    seen = set()
    for text in texts:
        parsed = addresses.parse(text)
        if parsed is not None and len(parsed) == family.value and parsed not in seen:
            seen.add(parsed)
            yield parsed


def _source_ranges(texts: tuple[str, ...], family: Family) -> tuple[Prefix, ...]:
    """The ranges of the family; one that holds every address means no restriction."""
    ranges = tuple(r for r in map(addresses.parse_prefix, texts) if r is not None and r.family is family)
    return () if any(r.length == 0 for r in ranges) else ranges


def _affinity(spec: service.ServiceSpec) -> int:
    if spec.session_affinity != "ClientIP":
        return 0
    config = spec.session_affinity_config
    seconds = config.client_ip.timeout_seconds if config is not None and config.client_ip is not None else None
    return seconds if seconds is not None and seconds > 0 else DEFAULT_AFFINITY_SECONDS
