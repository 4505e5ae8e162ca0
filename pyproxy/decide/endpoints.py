"""Read the endpoints of a Service's slices, for one family, grouped by port. No I/O."""

import sys
from collections.abc import Iterable
from typing import Final

from nodekit.objects.meta import Key
from pyproxy.model import address as addresses
from pyproxy.model import service
from pyproxy.model.address import Address, Family
from pyproxy.model.ports import Endpoint, PortName, Protocol

FAMILIES: Final = {family.api_name: family for family in Family}
_PROTOCOLS: Final = {protocol.name: protocol for protocol in Protocol}

SliceEndpoints = tuple[tuple[PortName, tuple[Endpoint, ...]], ...]
"""What one slice says, by port. Most have one port, and there may be many slices: a dict for each would be large."""


def owner(found: service.EndpointSlice) -> Key | None:
    """The Service a slice belongs to; None when it is not for proxies."""
    labels = found.metadata.labels
    name = labels.get(service.SERVICE_NAME_LABEL)
    if not name or service.HEADLESS_LABEL in labels or service.PROXY_NAME_LABEL in labels:
        return None
    return Key(sys.intern(found.metadata.namespace), name)


def read(found: service.EndpointSlice, owner: Key, node: str) -> SliceEndpoints:
    """The endpoints of an owner's slice by port, those on `node` being local.

    Ports without a name or number and endpoints that don't parse are left out.
    """
    family = FAMILIES.get(found.address_type)
    if family is None:
        return ()
    backends = [(packed, e) for e in found.endpoints if (packed := _address(e, family)) is not None]
    result: dict[PortName, tuple[Endpoint, ...]] = {}
    for port in found.ports:
        protocol = _PROTOCOLS.get(port.protocol)
        if port.name is None or port.port is None or not 0 < port.port < 65536 or protocol is None:
            continue
        key = PortName(owner, port.name, protocol)
        result[key] = result.get(key, ()) + tuple(_endpoint(a, port.port, e, node) for a, e in backends)
    return tuple(result.items())


def merge(slices: Iterable[SliceEndpoints], port: PortName, family: Family) -> tuple[Endpoint, ...]:
    """A port's endpoints of a family from all slices, ordered by address, each backend once.

    A backend seen twice is either on its way between two slices or an address given to a new Pod before the old one is
    gone: the one that is not terminating counts.
    """
    found: dict[tuple[Address, int], Endpoint] = {}
    width = family.value
    for endpoint in (e for one in slices for name, listed in one if name == port for e in listed):
        key = (endpoint.address, endpoint.port)
        if len(endpoint.address) == width and (key not in found or not endpoint.terminating):
            found[key] = endpoint
    return tuple(found[key] for key in sorted(found))


def _address(endpoint: service.SliceEndpoint, family: Family) -> Address | None:
    parsed = addresses.parse(endpoint.addresses[0]) if endpoint.addresses else None
    return parsed if parsed is not None and len(parsed) == family.value else None


_NOBODY: Final[frozenset[str]] = frozenset()


def _endpoint(address: Address, port: int, endpoint: service.SliceEndpoint, node: str) -> Endpoint:
    conditions, hints = endpoint.conditions, endpoint.hints
    return Endpoint(
        address,
        port,
        ready=conditions.ready is not False,
        serving=conditions.serving is not False,
        terminating=conditions.terminating is True,
        local=bool(node) and endpoint.node_name == node,
        node=sys.intern(endpoint.node_name or ""),
        zones=_NOBODY if hints is None else frozenset(zone.name for zone in hints.for_zones),
        nodes=_NOBODY if hints is None else frozenset(item.name for item in hints.for_nodes),
    )
