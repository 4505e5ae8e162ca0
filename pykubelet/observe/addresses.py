"""Finds the addresses this node is reached at. Source: NodeAddress in K/pkg/kubelet/nodestatus/setters.go."""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

from pykubelet.errors import StartupError

_ELSEWHERE: Final = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses that nobody has (RFC 5737, RFC 3849): the route to them is the default route."""


def of_node(given: Sequence[str], *, name: str) -> tuple[str, ...]:
    """The internal addresses, the primary first: those given with --node-ip, or one found. Raises StartupError.

    One given as 0.0.0.0 or :: only says which family is preferred.
    """
    asked = [ipaddress.ip_address(address) for address in given]
    specified = tuple(str(address) for address in asked if not address.is_unspecified)
    if specified:
        return specified
    prefer_v6 = bool(asked) and asked[0].version == 6
    families = (socket.AF_INET6, socket.AF_INET) if prefer_v6 else (socket.AF_INET, socket.AF_INET6)
    for family in families:
        found = _of_name(name, family)
        if found:
            return (found,)
    for family in families:
        found = _of_default_route(family)
        if found:
            return (found,)
    raise StartupError(f"no address of node {name} was found: it resolves to none here; give one with --node-ip")


def _of_name(name: str, family: socket.AddressFamily) -> str:
    try:
        found = socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)
    except OSError:
        return ""
    for *_, address in found:
        if _is_ours(str(address[0]), family):
            return str(address[0])
    return ""


def _is_ours(address: str, family: socket.AddressFamily) -> bool:
    """Whether this machine has it and others may use it."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_loopback or parsed.is_multicast or parsed.is_link_local or parsed.is_unspecified:
        return False
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _of_default_route(family: socket.AddressFamily) -> str:
    # Connecting a datagram socket sends nothing: the kernel only chooses the address to send from.
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_ELSEWHERE[family], 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
