"""Pack the declarations of sets and maps, with the notes nft needs to print them as they were meant."""

import struct
from typing import Final

from pyproxy.model import ruleset as rs
from pyproxy.model.address import Family
from pyproxy.model.ruleset import Field, SetSpec, Value
from pyproxy.netlink import wire

_CONSTANT_FLAGS: Final = {"interval": 0x4, "map": 0x8, "timeout": 0x10, "eval": 0x20, "concat": 0x80}
_VERDICT_TYPE: Final = 0xFFFFFF00

# nft's own numbers for types, for kinds of expressions and for header fields: only nft reads them.
_INTEGER, _IPV4, _IPV6, _PROTOCOL, _SERVICE = 4, 7, 8, 12, 13
_PAYLOAD, _META, _CONCAT, _NUMGEN = 7, 9, 13, 23
_TRANSPORT_HEADER, _IPV4_HEADER, _IPV6_HEADER = 11, 12, 13
_L4PROTO: Final = 16
_BIG_ENDIAN: Final = 2


def declare(spec: SetSpec, family: Family, number: int, *, counted: bool = False) -> bytes:
    """The body of a NEWSET; `number` is the set's id within the transaction.

    Each element of a `counted` one gets a counter of its own when it is added.
    """
    flags = 0
    data = b""
    if spec.value is Value.VERDICT:
        flags |= _CONSTANT_FLAGS["map"]
        data = wire.u32(6, _VERDICT_TYPE)
    elif spec.value is Value.BACKEND:
        flags |= _CONSTANT_FLAGS["map"]
        data = wire.u32(6, _type(rs.BACKEND, family)) + wire.u32(7, length(rs.BACKEND, family))
    description = b""
    if spec.interval:
        flags |= _CONSTANT_FLAGS["interval"] | _CONSTANT_FLAGS["concat"]
        fields = (wire.nest(1, wire.u32(1, _bytes(field, family))) for field in spec.key)
        description = wire.nest(9, wire.nest(2, *fields))
    if spec.dynamic:
        flags |= _CONSTANT_FLAGS["timeout"] | _CONSTANT_FLAGS["eval"]
        description = wire.nest(9, wire.u32(1, spec.size))
    return b"".join(
        (
            named(spec),
            wire.u32(3, flags),
            wire.u32(4, _type(spec.key, family)),
            wire.u32(5, length(spec.key, family)),
            data,
            description,
            wire.u32(10, number),
            wire.attribute(13, _notes(spec, family)),
            wire.nest(17, wire.string(1, "counter")) if counted else b"",
        )
    )


def named(spec: SetSpec) -> bytes:
    """The body of a DELSET, and how each message about a set begins."""
    return wire.string(1, rs.TABLE) + wire.string(2, spec.name)


def length(fields: tuple[Field, ...], family: Family) -> int:
    """How many bytes a key of these fields has, each padded to four."""
    return sum((_bytes(field, family) + 3) & ~3 for field in fields)


def _bytes(field: Field, family: Family) -> int:
    match field:
        case Field.SOURCE | Field.DESTINATION | Field.CALLER | Field.FRONTEND:
            return family.value
        case Field.PROTOCOL:
            return 1
        case Field.PORT | Field.FRONTEND_PORT:
            return 2
        case Field.SLOT:
            return 4


def _type(fields: tuple[Field, ...], family: Family) -> int:
    number = 0
    for field in fields:
        number = number << 6 | _field_type(field, family)
    return number


def _field_type(field: Field, family: Family) -> int:
    match field:
        case Field.SOURCE | Field.DESTINATION | Field.CALLER | Field.FRONTEND:
            return _IPV4 if family is Family.IPV4 else _IPV6
        case Field.PROTOCOL:
            return _PROTOCOL
        case Field.PORT | Field.FRONTEND_PORT:
            return _SERVICE
        case Field.SLOT:
            return _INTEGER


def _notes(spec: SetSpec, family: Family) -> bytes:
    """The set's user data: without it nft can't name a random number's type, nor print addresses and ports of a map."""
    if len(spec.key) == 1:
        return _number(0, _BIG_ENDIAN) + _tlv(3, _typeof(spec.key, family))
    notes = _number(0, 0) + _tlv(3, _typeof(spec.key, family))
    if spec.value is Value.BACKEND:
        notes = (
            _number(0, 0) + _number(1, 0) + _tlv(3, _typeof(spec.key, family)) + _tlv(4, _typeof(rs.BACKEND, family))
        )
    return notes


def _typeof(fields: tuple[Field, ...], family: Family) -> bytes:
    if len(fields) == 1:
        return _expression(fields[0], family)
    parts = (_tlv(index, _expression(field, family)) for index, field in enumerate(fields))
    return _number(0, _CONCAT) + _tlv(1, b"".join(parts))


def _expression(field: Field, family: Family) -> bytes:
    header = _IPV4_HEADER if family is Family.IPV4 else _IPV6_HEADER
    source, destination = (11, 12) if family is Family.IPV4 else (8, 9)
    match field:
        case Field.SOURCE | Field.CALLER:
            return _payload(header, source)
        case Field.DESTINATION | Field.FRONTEND:
            return _payload(header, destination)
        case Field.PROTOCOL:
            return _number(0, _META) + _tlv(1, _number(0, _L4PROTO))
        case Field.PORT | Field.FRONTEND_PORT:
            return _payload(_TRANSPORT_HEADER, 2)
        case Field.SLOT:
            return _number(0, _NUMGEN) + _tlv(1, _number(0, 1) + _number(1, 65536) + _number(2, 0))


def _payload(header: int, field: int) -> bytes:
    return _number(0, _PAYLOAD) + _tlv(1, _number(0, header) + _number(1, field))


def _tlv(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value))) + value


def _number(kind: int, value: int) -> bytes:
    return _tlv(kind, struct.pack("=I", value))
