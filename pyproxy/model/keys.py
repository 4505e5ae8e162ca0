"""Keys and values of sets and maps, laid out as nf_tables concatenates them: fields padded to four bytes. No I/O."""

import struct
from typing import Final

from pyproxy.model.address import Address
from pyproxy.model.ports import Protocol

_PROTOCOL_PORT: Final = struct.Struct(">B3xHxx")
_PORT: Final = struct.Struct(">Hxx")
_SLOT: Final = struct.Struct("=I")  # numgen fills a register in the machine's own byte order

_protocol_port = _PROTOCOL_PORT.pack
_port = _PORT.pack
_slots: Final[list[bytes]] = [_SLOT.pack(number) for number in range(256)]


def service(address: Address, protocol: int, port: int) -> bytes:
    """daddr . l4proto . dport"""
    return address + _protocol_port(protocol, port)


def node_port(protocol: int, port: int) -> bytes:
    """l4proto . dport"""
    return _protocol_port(protocol, port)


def slot(frontend: bytes, number: int) -> bytes:
    """A frontend's key and the number of a slot of its endpoints."""
    return frontend + (_slots[number] if number < 256 else _SLOT.pack(number))


def endpoint(address: Address, port: int) -> bytes:
    """addr . port"""
    return address + _port(port)


def hairpin(backend: bytes, protocol: int) -> bytes:
    """saddr . daddr . l4proto . dport of a backend that calls itself; `backend` is made by `endpoint`."""
    address = backend[:-4]
    return address + address + bytes((protocol, 0, 0, 0)) + backend[-4:]


def read_service(key: bytes) -> tuple[Address, Protocol, int]:
    """The parts of a service key."""
    protocol, port = _PROTOCOL_PORT.unpack(key[-8:])
    return Address(key[:-8]), Protocol(protocol), port


def read_endpoint(value: bytes) -> tuple[Address, int]:
    """The parts of an endpoint."""
    return Address(value[:-4]), _PORT.unpack(value[-4:])[0]


def read_slot(key: bytes) -> tuple[bytes, int]:
    """The frontend's key and the slot."""
    return key[:-4], _SLOT.unpack(key[-4:])[0]
