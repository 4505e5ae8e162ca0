"""The bytes of nfnetlink: messages, attributes, and nf_tables' numbers. Source: linux/netfilter/nf_tables.h."""

import enum
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

NETLINK_NETFILTER: Final = 12
NFNL_SUBSYS_NFTABLES: Final = 10
NESTED: Final = 0x8000


class Message(enum.IntEnum):
    """Message types within the nf_tables subsystem."""

    NEWTABLE = 0
    DELTABLE = 2
    NEWCHAIN = 3
    GETCHAIN = 4
    DELCHAIN = 5
    NEWRULE = 6
    DELRULE = 8
    NEWSET = 9
    DELSET = 11
    NEWSETELEM = 12
    GETSETELEM = 13
    DELSETELEM = 14
    GETGEN = 16


class Flag(enum.IntFlag):
    """Flags of a netlink request."""

    REQUEST = 0x1
    ACK = 0x4
    DUMP = 0x300
    CREATE = 0x400
    APPEND = 0x800


BATCH_BEGIN: Final = 0x10
BATCH_END: Final = 0x11
ERROR: Final = 0x2
DONE: Final = 0x3

_HEADER: Final = struct.Struct("=IHHIIBBH")
_ATTRIBUTE: Final = struct.Struct("=HH")
_NETLINK: Final = struct.Struct("=IHHII")
HEADER_SIZE: Final = _HEADER.size


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes. Raises struct.error over 65,531 bytes: the length has 16 bits."""
    return _ATTRIBUTE.pack(4 + len(payload), kind) + payload + bytes(-len(payload) & 3)


def nest(kind: int, *parts: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | NESTED, b"".join(parts))


def string(kind: int, text: str) -> bytes:
    """A text attribute, ended by a zero byte."""
    return attribute(kind, text.encode() + b"\0")


def u32(kind: int, number: int) -> bytes:
    """A number as nf_tables wants it: big endian; negative ones in two's complement."""
    return attribute(kind, struct.pack(">I", number & 0xFFFFFFFF))


def u64(kind: int, number: int) -> bytes:
    """A long number, big endian."""
    return attribute(kind, struct.pack(">Q", number))


def message(kind: int, flags: int, sequence: int, *, family: int = 0, resource: int = 0, body: bytes = b"") -> bytes:
    """A whole nfnetlink message. `kind` includes the subsystem; `resource` is only for the ends of a batch."""
    return _HEADER.pack(HEADER_SIZE + len(body), kind, flags, sequence, 0, family, 0, _big_endian(resource)) + body


def _big_endian(number: int) -> int:
    return int.from_bytes(struct.pack(">H", number), "little") if struct.pack("=H", 1) == b"\x01\x00" else number


def attributes(payload: bytes | memoryview) -> dict[int, bytes]:
    """The attributes of a payload by kind, without the nested bit; the last one of a kind wins."""
    found = {}
    offset = 0
    while offset + 4 <= len(payload):
        length, kind = _ATTRIBUTE.unpack_from(payload, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = bytes(payload[offset + 4 : offset + length])
        offset += (length + 3) & ~3
    return found


class Received(NamedTuple):
    """A message from the kernel; `port` names the socket whose request it is about."""

    kind: int
    flags: int
    sequence: int
    port: int
    payload: bytes


def messages(data: bytes) -> Iterator[Received]:
    """Every message of what a socket received."""
    offset = 0
    while offset + _NETLINK.size <= len(data):
        length, kind, flags, sequence, port = _NETLINK.unpack_from(data, offset)
        if length < _NETLINK.size:
            return
        yield Received(kind, flags, sequence, port, data[offset + _NETLINK.size : offset + length])
        offset += (length + 3) & ~3
