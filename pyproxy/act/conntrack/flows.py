"""Delete conntrack flows by a filter the kernel applies: one message for all flows of a frontend to a backend."""

import errno
import logging
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import Final

from pyroute2.netlink.nlsocket import NetlinkSocket

from pyproxy import errors
from pyproxy.decide import stale_flows
from pyproxy.decide.stale_flows import Flow
from pyproxy.model import keys
from pyproxy.model.address import Address, Family
from pyproxy.netlink import wire

log = logging.getLogger(__name__)

_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2  # of the conntrack subsystem
_ORIGINAL, _REPLY, _FILTER = 1, 2, 25
_BY_SOURCE, _BY_DESTINATION, _BY_PROTOCOL, _BY_SOURCE_PORT, _BY_DESTINATION_PORT = 1, 2, 8, 16, 32
_NUMBERS: Final = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}


class Conntrack:
    """A netlink socket to the connection tracker of this network namespace, or of the named one."""

    def __init__(self, netns: str | None = None) -> None:
        self._carrier = NetlinkSocket(family=wire.NETLINK_NETFILTER, netns=netns, ext_ack=True)
        self._socket: socket.socket = self._carrier.asyncore.socket
        self._sequence = 0

    def close(self) -> None:
        """Give the socket back."""
        self._carrier.close()

    def forget(self, flows: Iterable[Flow], family: Family) -> int:
        """Delete the flows; how many of them were asked for. Raises ConntrackError when the kernel can't."""
        asked = 0
        for flow in flows:
            if family is Family.IPV4:
                self._delete(_filter(flow, family), family)
            else:
                for original in self._originals(flow):
                    self._delete(original, family)
            asked += 1
        return asked

    def _originals(self, flow: Flow) -> list[bytes]:
        """The flows' own tuples, each enough to delete one.

        Kernels up to and including 6.18 take an IPv6 address in a filter for its opposite: the kernel finds the ports,
        the addresses are compared here.
        """
        called, (backend, _) = stale_flows.frontend_address(flow), _backend(flow)
        self._sequence += 1
        flags = wire.Flag.REQUEST | wire.Flag.DUMP
        body = _filter(flow, Family.IPV6, addresses=False)
        self._socket.send(wire.message(_GET, flags, self._sequence, family=_NUMBERS[Family.IPV6], body=body))
        found = []
        for payload in self._answers():
            attributes = wire.attributes(payload[4:])
            if called in (None, _end(attributes[_ORIGINAL], 4)) and backend in (None, _end(attributes[_REPLY], 3)):
                found.append(wire.nest(_ORIGINAL, attributes[_ORIGINAL]))
        return found

    def _answers(self) -> Iterator[bytes]:
        while True:
            for kind, _, sequence, _, payload in wire.messages(self._socket.recv(1 << 20)):
                if sequence != self._sequence:
                    continue
                if kind == wire.DONE:
                    return
                if kind == wire.ERROR:
                    (code,) = struct.unpack_from("=i", payload)
                    raise errors.ConntrackError(f"listing conntrack flows: {os.strerror(-code)}")
                yield payload

    def _delete(self, body: bytes, family: Family) -> None:
        self._sequence += 1
        flags = wire.Flag.REQUEST | wire.Flag.ACK
        self._socket.send(wire.message(_DELETE, flags, self._sequence, family=_NUMBERS[family], body=body))
        answer = self._socket.recv(1 << 16)
        (code,) = struct.unpack_from("=i", answer, 16)
        if code and -code != errno.ENOENT:
            raise errors.ConntrackError(f"deleting conntrack flows: {os.strerror(-code)}")


def _backend(flow: Flow) -> tuple[Address | None, int]:
    """Who answers: what was never translated is answered by the very address that was called."""
    if flow.backend is not None:
        return keys.read_endpoint(flow.backend)
    return stale_flows.frontend_address(flow), keys.read_service(flow.frontend)[2]


def _filter(flow: Flow, family: Family, *, addresses: bool = True) -> bytes:
    nothing = Address(bytes(family.value))
    address = stale_flows.frontend_address(flow)
    _, protocol, port = keys.read_service(flow.frontend)
    backend, backend_port = _backend(flow)
    original, reply = _BY_PROTOCOL | _BY_DESTINATION_PORT, _BY_PROTOCOL | _BY_SOURCE_PORT
    if addresses:
        original |= 0 if address is None else _BY_DESTINATION
        reply |= 0 if backend is None else _BY_SOURCE
    return b"".join(
        (
            _tuple(_ORIGINAL, nothing, address or nothing, protocol, 0, port),
            _tuple(_REPLY, backend or nothing, nothing, protocol, backend_port, 0),
            wire.nest(
                _FILTER,
                wire.attribute(1, struct.pack("=I", original)),
                wire.attribute(2, struct.pack("=I", reply)),
            ),
        )
    )


def _end(connection: bytes, which: int) -> bytes | None:
    """An IPv6 address of a flow's tuple: 3 its source, 4 its destination."""
    return wire.attributes(wire.attributes(connection)[1]).get(which)


def _tuple(kind: int, source: bytes, destination: bytes, protocol: int, source_port: int, port: int) -> bytes:
    first = 1 if len(source) == 4 else 3
    ports = wire.attribute(2, struct.pack(">H", source_port)) + wire.attribute(3, struct.pack(">H", port))
    return wire.nest(
        kind,
        wire.nest(1, wire.attribute(first, source), wire.attribute(first + 1, destination)),
        wire.nest(2, wire.attribute(1, bytes([protocol])), ports),
    )
