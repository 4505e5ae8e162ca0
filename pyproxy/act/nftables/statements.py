"""Pack the statements of a rule into the expressions of nf_tables' register machine."""

import struct
from typing import Final, assert_never

from pyproxy.act.nftables import sets
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Family
from pyproxy.model.ruleset import Field, Rule, Statement
from pyproxy.netlink.wire import attribute, nest, string, u32, u64

_EQUAL, _NOT_EQUAL = 0, 1
_NETWORK, _TRANSPORT = 1, 2
_META_MARK, _META_IIFNAME, _META_L4PROTO = 3, 6, 16
_CT_STATUS, _CT_PROTO_DST = 2, 12
_CT_SOURCE, _CT_DESTINATION = {Family.IPV4: 19, Family.IPV6: 21}, {Family.IPV4: 20, Family.IPV6: 22}
_STATUS_DNAT: Final = 0x20
_LOCAL: Final = 2
_FIB_SOURCE, _FIB_DESTINATION = 1, 2
_UPDATE, _DELETE = 1, 2
_FULLY_RANDOM: Final = 0x10
_REJECT_RESET: Final = 1
DROP, JUMP, GOTO = 0, -3, -4


def rule(statements: Rule, chain: str, family: Family) -> bytes:
    """The body of a NEWRULE."""
    packed = b"".join(_statement(statement, family) for statement in statements)
    return string(1, rs.TABLE) + string(2, chain) + nest(4, packed)


def verdict(code: int, chain: str = "") -> bytes:
    """A verdict as data."""
    return nest(2, u32(1, code) + (string(2, chain) if chain else b""))


def _register(number: int) -> int:
    return 8 + number


def _expression(name: str, *attributes: bytes) -> bytes:
    return nest(1, string(1, name), nest(2, *attributes))


def _statement(statement: Statement, family: Family) -> bytes:
    match statement:
        case rs.SourceIn(prefix, negated):
            return _load(Field.SOURCE, 0, family) + _in_prefix(prefix.address, prefix.length, negated)
        case rs.DestinationIn(prefix, negated):
            return _load(Field.DESTINATION, 0, family) + _in_prefix(prefix.address, prefix.length, negated)
        case rs.SourceLocal():
            return _fib(_FIB_SOURCE) + _compare(_EQUAL, struct.pack("=I", _LOCAL))
        case rs.DestinationLocal(negated):
            return _fib(_FIB_DESTINATION) + _compare(_NOT_EQUAL if negated else _EQUAL, struct.pack("=I", _LOCAL))
        case rs.InputInterface(name, negated):
            wanted = name[:-1].encode() if name.endswith("*") else name.encode().ljust(16, b"\0")
            return _meta(_META_IIFNAME) + _compare(_NOT_EQUAL if negated else _EQUAL, wanted)
        case rs.InSet(fields, one, negated):
            inverse = u32(5, 1) if negated else b""
            return _key(fields, family) + _expression("lookup", string(1, one.spec.name), u32(2, _register(0)), inverse)
        case rs.Dispatch(fields, one):
            return _key(fields, family) + _lookup(one, into=0)
        case rs.Translate():
            return _translate(statement, family)
        case rs.Translated():
            return (
                _expression("ct", u32(1, _register(0)), u32(2, _CT_STATUS))
                + _mask(struct.pack("=I", _STATUS_DNAT))
                + _compare(_NOT_EQUAL, bytes(4))
            )
        case rs.Marked(mask):
            return _meta(_META_MARK) + _mask(struct.pack("=I", mask)) + _compare(_NOT_EQUAL, bytes(4))
        case rs.SetMark(mask):
            keep = ~mask & 0xFFFFFFFF
            return _meta(_META_MARK) + _mask(struct.pack("=I", keep), struct.pack("=I", mask)) + _store_mark()
        case rs.FlipMark(mask):
            return _meta(_META_MARK) + _mask(b"\xff" * 4, struct.pack("=I", mask)) + _store_mark()
        case rs.Masquerade():
            return _expression("masq", u32(1, _FULLY_RANDOM))
        case rs.Remember(seconds):
            return _affinity(family, u32(3, _UPDATE), u64(6, seconds * 1000))
        case rs.Forget():
            return _affinity(family, u32(3, _DELETE))
        case rs.Jump(chain):
            return _immediate(JUMP, chain)
        case rs.Drop():
            return _immediate(DROP)
        case rs.OverTcp():
            return _meta(_META_L4PROTO) + _compare(_EQUAL, b"\x06")
        case rs.Reset():
            return _expression("reject", u32(1, _REJECT_RESET))
        case rs.Reject():
            return _expression("reject", u32(1, 0), attribute(2, bytes([3 if family is Family.IPV4 else 4])))
    assert_never(statement)


def _key(fields: tuple[Field, ...], family: Family, start: int = 0) -> bytes:
    """Load the fields into neighbouring registers, as the concatenation they are a key of."""
    parts = []
    for field in fields:
        parts.append(_load(field, start, family))
        start += sets.length((field,), family) // 4
    return b"".join(parts)


def _load(field: Field, number: int, family: Family) -> bytes:
    into = u32(1, _register(number))
    size = family.value
    source, destination = (12, 16) if family is Family.IPV4 else (8, 24)
    match field:
        case Field.SOURCE:
            return _expression("payload", into, u32(2, _NETWORK), u32(3, source), u32(4, size))
        case Field.DESTINATION:
            return _expression("payload", into, u32(2, _NETWORK), u32(3, destination), u32(4, size))
        case Field.PORT:
            return _expression("payload", into, u32(2, _TRANSPORT), u32(3, 2), u32(4, 2))
        case Field.PROTOCOL:
            return _expression("meta", into, u32(2, _META_L4PROTO))
        case Field.CALLER:
            return _expression("ct", into, u32(2, _CT_SOURCE[family]), attribute(3, b"\0"))
        case Field.FRONTEND:
            return _expression("ct", into, u32(2, _CT_DESTINATION[family]), attribute(3, b"\0"))
        case Field.FRONTEND_PORT:
            return _expression("ct", into, u32(2, _CT_PROTO_DST), attribute(3, b"\0"))
        case Field.SLOT:
            raise ValueError("a slot is drawn by Translate, which knows how many there are")
    assert_never(field)


def _translate(statement: rs.Translate, family: Family) -> bytes:
    after = sets.length(statement.fields, family) // 4
    load = _key(statement.fields, family)
    if statement.hashed:
        # The key's registers come after the hash's, which may be as long as they are.
        load = _hash(after, statement.slots, family) + load
    elif statement.slots:
        load += _expression("numgen", u32(1, _register(after)), u32(2, statement.slots), u32(3, 1), u32(4, 0))
    port = _register(family.value // 4)
    number = 2 if family is Family.IPV4 else 10
    nat = _expression("nat", u32(1, 1), u32(2, number), u32(3, _register(0)), u32(5, port))
    return load + _lookup(statement.map, into=_register(0)) + nat


def _hash(into: int, slots: int, family: Family) -> bytes:
    """A slot by the caller's address and port, which are hashed in the registers the key is then loaded into."""
    width = family.value // 4
    port = _expression("payload", u32(1, _register(width)), u32(2, _TRANSPORT), u32(3, 0), u32(4, 2))
    drawn = _expression(
        "hash",
        u32(1, _register(0)),
        u32(2, _register(into)),
        u32(3, family.value + 4),
        u32(4, slots),
        u32(5, rs.HASH_SEED),
        u32(7, 0),
    )
    return _load(Field.SOURCE, 0, family) + port + drawn


def _affinity(family: Family, *attributes: bytes) -> bytes:
    key = (*rs.ORIGINAL_KEY, Field.CALLER)
    data = sets.length(key, family) // 4
    return (
        _key(key, family)
        + _key(rs.BACKEND, family, data)
        + _expression(
            "dynset", string(1, rs.Set.AFFINITY.spec.name), u32(4, _register(0)), u32(5, _register(data)), *attributes
        )
    )


def _lookup(one: rs.Set, *, into: int) -> bytes:
    return _expression("lookup", string(1, one.spec.name), u32(2, _register(0)), u32(3, into))


def _in_prefix(address: bytes, length: int, negated: bool) -> bytes:
    width = len(address) * 8
    mask = ((1 << length) - 1 << (width - length)).to_bytes(len(address), "big")
    narrow = b"" if length == width else _mask(mask)
    return narrow + _compare(_NOT_EQUAL if negated else _EQUAL, address)


def _mask(mask: bytes, flip: bytes = b"") -> bytes:
    """register 0 = (register 0 & mask) ^ flip"""
    return _expression(
        "bitwise",
        u32(1, _register(0)),
        u32(2, _register(0)),
        u32(3, len(mask)),
        nest(4, attribute(1, mask)),
        nest(5, attribute(1, flip or bytes(len(mask)))),
    )


def _compare(operator: int, data: bytes) -> bytes:
    return _expression("cmp", u32(1, _register(0)), u32(2, operator), nest(3, attribute(1, data)))


def _meta(key: int) -> bytes:
    return _expression("meta", u32(1, _register(0)), u32(2, key))


def _store_mark() -> bytes:
    return _expression("meta", u32(2, _META_MARK), u32(3, _register(0)))


def _fib(flags: int) -> bytes:
    return _expression("fib", u32(1, _register(0)), u32(2, 3), u32(3, flags))


def _immediate(code: int, chain: str = "") -> bytes:
    return _expression("immediate", u32(1, 0), nest(2, verdict(code, chain)))
