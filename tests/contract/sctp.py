"""Just enough SCTP over raw sockets for a call through a Service, on kernels whose own SCTP is not built in.

Conntrack and NAT know the protocol without it: they follow the handshake (RFC 9260, section 5.1), drop what has a wrong
checksum and rewrite it after a translation. Both ends here check it, too.
"""

import itertools
import socket
import struct
from dataclasses import dataclass, field
from typing import Final

PROTOCOL: Final = 132
DATA, INIT, INIT_ACK, COOKIE_ECHO, COOKIE_ACK = 0, 1, 2, 10, 11
_HEADER: Final = struct.Struct(">HHI4s")
_CHUNK: Final = struct.Struct(">BBH")
_INIT: Final = struct.Struct(">IIHHI")
_COOKIE: Final = 7  # the parameter of an INIT ACK that holds the state cookie
_POLYNOMIAL: Final = 0x82F63B78  # CRC-32C, reflected
_ports = itertools.count(20000)


@dataclass(frozen=True)
class Packet:
    """A packet with one chunk."""

    source: int
    port: int
    tag: int
    kind: int
    value: bytes

    def pack(self) -> bytes:
        chunk = _CHUNK.pack(self.kind, 3 if self.kind == DATA else 0, _CHUNK.size + len(self.value)) + self.value
        chunk += bytes(-len(chunk) & 3)
        summed = checksum(_HEADER.pack(self.source, self.port, self.tag, bytes(4)) + chunk)
        return _HEADER.pack(self.source, self.port, self.tag, summed) + chunk


def unpack(data: bytes) -> Packet:
    """Raises ValueError for a wrong checksum."""
    source, port, tag, summed = _HEADER.unpack_from(data)
    if checksum(_HEADER.pack(source, port, tag, bytes(4)) + data[_HEADER.size :]) != summed:
        raise ValueError(f"wrong checksum in {data.hex()}")
    kind, _, length = _CHUNK.unpack_from(data, _HEADER.size)
    start = _HEADER.size + _CHUNK.size
    return Packet(source, port, tag, kind, data[start : _HEADER.size + length])


def checksum(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


def open_socket(family: socket.AddressFamily) -> socket.socket:
    return socket.socket(family, socket.SOCK_RAW, PROTOCOL)


def receive(one: socket.socket) -> tuple[Packet, str]:
    """The next packet and who sent it. IPv4 raw sockets give the IP header too."""
    data, peer = one.recvfrom(1 << 16)
    return unpack(data[(data[0] & 15) * 4 :] if one.family == socket.AF_INET else data), peer[0]


@dataclass
class Server:
    """Answers every association on a port with its name and the address it saw."""

    socket: socket.socket
    port: int
    name: str
    _tags: dict[tuple[str, int], int] = field(default_factory=dict)

    def run(self) -> None:
        """Until the socket is closed."""
        while True:
            try:
                packet, peer = receive(self.socket)
            except OSError:
                return
            if packet.port == self.port:
                self._answer(packet, peer)

    def _answer(self, packet: Packet, peer: str) -> None:
        caller = (peer, packet.source)
        match packet.kind:
            case 1:  # INIT
                (self._tags[caller], *_) = _INIT.unpack_from(packet.value)
                cookie = struct.pack(">HH4s", _COOKIE, 8, b"cook")
                self._send(peer, packet, INIT_ACK, _INIT.pack(self.port, 1 << 16, 1, 1, 1) + cookie)
            case 10:  # COOKIE ECHO
                self._send(peer, packet, COOKIE_ACK, b"")
            case 0:  # DATA
                self._send(peer, packet, DATA, packet.value[:12] + f"{self.name} {peer}".encode())

    def _send(self, peer: str, to: Packet, kind: int, value: bytes) -> None:
        tag = self._tags.get((peer, to.source))
        if tag is not None:
            self.socket.sendto(Packet(self.port, to.source, tag, kind, value).pack(), (peer, 0))


class Client:
    """An association with a port of the address the socket is connected to; OSError when none comes about."""

    def __init__(self, connected: socket.socket, port: int) -> None:
        self._socket, self._port, self._source, self._peer_tag = connected, port, next(_ports), 0

    def begin(self) -> None:
        """The four-way handshake, with the same ports each time."""
        self._peer_tag = 0
        acknowledged = self._exchange(INIT, _INIT.pack(self._source, 1 << 16, 1, 1, 1), INIT_ACK)
        (self._peer_tag, *_) = _INIT.unpack_from(acknowledged.value)
        self._exchange(COOKIE_ECHO, acknowledged.value[_INIT.size + 4 :], COOKIE_ACK)

    def ask(self) -> str:
        """What the other end answers to a message."""
        answer = self._exchange(DATA, struct.pack(">IHHI", 1, 0, 0, 0) + b"?", DATA)
        return answer.value[12:].decode()

    def _exchange(self, kind: int, value: bytes, wanted: int) -> Packet:
        self._socket.send(Packet(self._source, self._port, self._peer_tag, kind, value).pack())
        while True:
            packet, _ = receive(self._socket)
            if packet.port == self._source and packet.kind == wanted:
                return packet
