"""Delete conntrack flows, found by a filter the kernel applies: what is not of a frontend is never read."""

import errno
import logging
import os
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from pyroute2.netlink.nlsocket import NetlinkSocket

from pyproxy import errors
from pyproxy.decide import stale_flows
from pyproxy.decide.stale_flows import Flow, Serving
from pyproxy.model import keys
from pyproxy.model.address import Address, Family
from pyproxy.netlink import wire

log = logging.getLogger(__name__)

_FEW: Final = 16
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
        """Delete the flows; how many there were. Raises ConntrackError when the kernel can't."""
        return self._delete_all({original for flow in flows for original in self._to_backend(flow, family)}, family)

    def reconcile(self, serving: Serving, family: Family) -> int:
        """Delete the flows of these frontends that lead to none of their backends; how many there were.

        For more than a few frontends this reads every flow of their protocols: meant for the start, when nobody knows
        what was missed.
        """
        if len(serving) <= _FEW:
            filters = [_filter(Flow(frontend, None), family, replies=False) for frontend in serving]
        else:
            protocols = {keys.read_service(frontend)[1] for frontend in serving}
            filters = [_protocol_filter(protocol, family) for protocol in sorted(protocols)]
        stale = set()
        for one in filters:
            for payload in self._list(one, family):
                attributes = wire.attributes(payload[4:])
                calls = _end(attributes[_ORIGINAL], family, answers=False)
                answers, _, port = _end(attributes[_REPLY], family, answers=True)
                found = serving.get(keys.service(*calls))
                if found is not None and keys.endpoint(answers, port) not in found:
                    stale.add(wire.nest(_ORIGINAL, attributes[_ORIGINAL]))
        return self._delete_all(stale, family)

    def _to_backend(self, flow: Flow, family: Family) -> list[bytes]:
        """The flows' own tuples, each enough to delete one."""
        called, (_, protocol, port) = stale_flows.frontend_address(flow), keys.read_service(flow.frontend)
        backend, backend_port = _backend(flow)
        found = []
        for payload in self._list(_filter(flow, family), family):
            attributes = wire.attributes(payload[4:])
            calls = _end(attributes[_ORIGINAL], family, answers=False)
            answers = _end(attributes[_REPLY], family, answers=True)
            called_so = calls == (called or calls[0], protocol, port)
            if called_so and answers == (backend or answers[0], protocol, backend_port):
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

    def _delete_all(self, originals: Collection[bytes], family: Family) -> int:
        for original in originals:
            self._delete(original, family)
        return len(originals)

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


def _filter(flow: Flow, family: Family, *, replies: bool = True) -> bytes:
    """What the kernel compares: the frontend and, with `replies`, the backend; it may let through more than that.

    Kernels up to and including 6.18 take an IPv6 address in a filter for its opposite, so that they only get the ports;
    and of SCTP they compare no ports.
    """
    nothing = Address(bytes(family.value))
    address = stale_flows.frontend_address(flow)
    _, protocol, port = keys.read_service(flow.frontend)
    backend, backend_port = _backend(flow)
    original, reply = _BY_PROTOCOL | _BY_DESTINATION_PORT, _BY_PROTOCOL | _BY_SOURCE_PORT
    if family is Family.IPV4:
        original |= 0 if address is None else _BY_DESTINATION
        reply |= 0 if backend is None else _BY_SOURCE
    return b"".join(
        (
            _tuple(_ORIGINAL, nothing, address or nothing, protocol, 0, port),
            _tuple(_REPLY, backend or nothing, nothing, protocol, backend_port, 0) if replies else b"",
            _compared(original, reply if replies else 0),
        )
    )


def _protocol_filter(protocol: int, family: Family) -> bytes:
    nothing = bytes(family.value)
    return _tuple(_ORIGINAL, nothing, nothing, protocol, 0, 0) + _compared(_BY_PROTOCOL, 0)


def _compared(original: int, reply: int) -> bytes:
    flags = (wire.attribute(1, struct.pack("=I", original)), wire.attribute(2, struct.pack("=I", reply)))
    return wire.nest(_FILTER, *flags)


def _end(connection: bytes, family: Family, *, answers: bool) -> tuple[Address, int, int]:
    """One end of a flow's tuple, the source when it `answers`, else the destination: address, protocol, port."""
    tuple_ = wire.attributes(connection)
    addresses, protocol = wire.attributes(tuple_[1]), wire.attributes(tuple_[2])
    base = 1 if family is Family.IPV4 else 3
    (port,) = struct.unpack(">H", protocol[2 if answers else 3])
    return Address(addresses[base if answers else base + 1]), protocol[1][0], port


def _tuple(kind: int, source: bytes, destination: bytes, protocol: int, source_port: int, port: int) -> bytes:
    first = 1 if len(source) == 4 else 3
    ports = wire.attribute(2, struct.pack(">H", source_port)) + wire.attribute(3, struct.pack(">H", port))
    return wire.nest(
        kind,
        wire.nest(1, wire.attribute(first, source), wire.attribute(first + 1, destination)),
        wire.nest(2, wire.attribute(1, bytes([protocol])), ports),
    )
