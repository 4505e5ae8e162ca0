"""Delete conntrack flows by a filter the kernel applies: one message for all flows of a frontend to a backend."""

import errno
import logging
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pyroute2.netlink.nlsocket import NetlinkSocket

from pyproxy import errors
from pyproxy.decide import stale_flows
from pyproxy.decide.stale_flows import Flow
from pyproxy.model import keys
from pyproxy.model.address import Address, Family
from pyproxy.netlink import wire

log = logging.getLogger(__name__)

_UDP: Final = 17
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

    def reconcile(self, serving: Mapping[bytes, frozenset[bytes]], family: Family) -> int:
        """Delete the UDP flows of these frontends that lead to none of their backends; how many there were.

        This reads every UDP flow the kernel has: meant for the start, when nobody knows what was missed.
        """
        stale = []
        for payload in self._list(_protocol_filter(_UDP, family), family):
            attributes = wire.attributes(payload[4:])
            address, port = _end(attributes[_ORIGINAL], family, answers=False)
            backend = keys.endpoint(*_end(attributes[_REPLY], family, answers=True))
            found = serving.get(keys.service(address, _UDP, port))
            if found is not None and backend not in found:
                stale.append(wire.nest(_ORIGINAL, attributes[_ORIGINAL]))
        for original in stale:
            self._delete(original, family)
        return len(stale)

    def _originals(self, flow: Flow) -> list[bytes]:
        """The flows' own tuples, each enough to delete one.

        Kernels up to and including 6.18 take an IPv6 address in a filter for its opposite: the kernel finds the ports,
        the addresses are compared here.
        """
        called, (backend, _) = stale_flows.frontend_address(flow), _backend(flow)
        found = []
        for payload in self._list(_filter(flow, Family.IPV6, addresses=False), Family.IPV6):
            attributes = wire.attributes(payload[4:])
            calls = _end(attributes[_ORIGINAL], Family.IPV6, answers=False)[0]
            answers = _end(attributes[_REPLY], Family.IPV6, answers=True)[0]
            if called in (None, calls) and backend in (None, answers):
                found.append(wire.nest(_ORIGINAL, attributes[_ORIGINAL]))
        return found

    def _list(self, body: bytes, family: Family) -> Iterator[bytes]:
        self._sequence += 1
        flags = wire.Flag.REQUEST | wire.Flag.DUMP
        self._socket.send(wire.message(_GET, flags, self._sequence, family=_NUMBERS[family], body=body))
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


def _protocol_filter(protocol: int, family: Family) -> bytes:
    nothing = bytes(family.value)
    by = wire.nest(_FILTER, wire.attribute(1, struct.pack("=I", _BY_PROTOCOL)), wire.attribute(2, struct.pack("=I", 0)))
    return _tuple(_ORIGINAL, nothing, nothing, protocol, 0, 0) + by


def _end(connection: bytes, family: Family, *, answers: bool) -> tuple[Address, int]:
    """One end of a flow's tuple: the source when it `answers`, else the destination."""
    tuple_ = wire.attributes(connection)
    base = 1 if family is Family.IPV4 else 3
    address = wire.attributes(tuple_[1])[base if answers else base + 1]
    (port,) = struct.unpack(">H", wire.attributes(tuple_[2])[2 if answers else 3])
    return Address(address), port


def _tuple(kind: int, source: bytes, destination: bytes, protocol: int, source_port: int, port: int) -> bytes:
    first = 1 if len(source) == 4 else 3
    ports = wire.attribute(2, struct.pack(">H", source_port)) + wire.attribute(3, struct.pack(">H", port))
    return wire.nest(
        kind,
        wire.nest(1, wire.attribute(first, source), wire.attribute(first + 1, destination)),
        wire.nest(2, wire.attribute(1, bytes([protocol])), ports),
    )
