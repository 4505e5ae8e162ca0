"""Delete conntrack flows by a filter the kernel applies: one message for all flows of a frontend to a backend."""

import errno
import logging
import os
import socket
import struct
from collections.abc import Iterable
from typing import Final

from pyroute2.netlink.nlsocket import NetlinkSocket

from pyproxy import errors
from pyproxy.act.nftables import wire
from pyproxy.decide import stale_flows
from pyproxy.decide.stale_flows import Flow
from pyproxy.model import keys
from pyproxy.model.address import Address, Family

log = logging.getLogger(__name__)

_DELETE: Final = 1 << 8 | 2  # the conntrack subsystem's CT_DELETE
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
            self._delete(_body(flow, family), family)
            asked += 1
        return asked

    def _delete(self, body: bytes, family: Family) -> None:
        self._sequence += 1
        flags = wire.Flag.REQUEST | wire.Flag.ACK
        self._socket.send(wire.message(_DELETE, flags, self._sequence, family=_NUMBERS[family], body=body))
        answer = self._socket.recv(1 << 16)
        (code,) = struct.unpack_from("=i", answer, 16)
        if code and -code != errno.ENOENT:
            raise errors.ConntrackError(f"deleting conntrack flows: {os.strerror(-code)}")


def _body(flow: Flow, family: Family) -> bytes:
    nothing = Address(bytes(family.value))
    address = stale_flows.frontend_address(flow)
    _, protocol, port = keys.read_service(flow.frontend)
    original = _BY_PROTOCOL | _BY_DESTINATION_PORT | (_BY_DESTINATION if address is not None else 0)
    # What was never translated is answered by the very address that was called.
    backend, backend_port = (address, port) if flow.backend is None else keys.read_endpoint(flow.backend)
    return b"".join(
        (
            _tuple(_ORIGINAL, nothing, address or nothing, protocol, 0, port),
            _tuple(_REPLY, backend or nothing, nothing, protocol, backend_port, 0),
            wire.nest(
                _FILTER,
                wire.attribute(1, struct.pack("=I", original)),
                wire.attribute(2, struct.pack("=I", _BY_SOURCE | _BY_PROTOCOL | _BY_SOURCE_PORT)),
            ),
        )
    )


def _tuple(kind: int, source: bytes, destination: bytes, protocol: int, source_port: int, port: int) -> bytes:
    first = 1 if len(source) == 4 else 3
    ports = wire.attribute(2, struct.pack(">H", source_port)) + wire.attribute(3, struct.pack(">H", port))
    return wire.nest(
        kind,
        wire.nest(1, wire.attribute(first, source), wire.attribute(first + 1, destination)),
        wire.nest(2, wire.attribute(1, bytes([protocol])), ports),
    )
