"""Pack elements of sets and maps: the hot path, so keys and values are joined between prepared heads, never parsed."""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from pyproxy.act.nftables import sets, statements
from pyproxy.decide.nft_text import Told
from pyproxy.model.ruleset import ChainKey, Element, Kind, Set, Value, Verdict
from pyproxy.netlink import wire

_LIST_LIMIT: Final = 65_000  # an attribute's length has 16 bits
_HEAD: Final = struct.Struct("=HHHHHH")
_NEXT: Final = struct.Struct("=HHHH")
_N: Final = wire.NESTED
_WORDS: Final = {statements.DROP: "drop", statements.JUMP: "jump", statements.GOTO: "goto"}


def bodies(one: Set, elements: Mapping[bytes, Element] | Iterable[bytes]) -> Iterator[bytes]:
    """The bodies of as many NEWSETELEM or DELSETELEM messages as the elements need; without values to delete them."""
    head = sets.named(one.spec)
    parts: list[bytes] = []
    size = 0
    for packed in _packed(one, elements):
        if size + len(packed) > _LIST_LIMIT:
            yield head + wire.nest(3, *parts)
            parts, size = [], 0
        parts.append(packed)
        size += len(packed)
    if parts:
        yield head + wire.nest(3, *parts)


def read(element: bytes) -> tuple[bytes, Told]:
    """An element's key and value as the kernel lists them; see Kernel.elements."""
    attributes = wire.attributes(element)
    key = wire.attributes(attributes[1])[1]
    if 10 in attributes:
        return key, wire.attributes(attributes[10])[1]
    if 2 not in attributes:
        return key, None
    data = wire.attributes(attributes[2])
    if 1 in data:
        return key, data[1]
    verdict = wire.attributes(data[2])
    (code,) = struct.unpack(">i", verdict[1])
    chain = verdict.get(2, b"").rstrip(b"\0").decode()
    return key, f"{_WORDS.get(code, code)} {chain}".rstrip()


def read_count(element: bytes) -> tuple[bytes, int]:
    """An element's key and how many packets it has counted; 0 for one that does not count."""
    attributes = wire.attributes(element)
    key = wire.attributes(attributes[1])[1]
    if 7 not in attributes:
        return key, 0
    counter = wire.attributes(wire.attributes(attributes[7])[2])
    return key, int.from_bytes(counter[2], "big")


def _packed(one: Set, elements: Mapping[bytes, Element] | Iterable[bytes]) -> Iterator[bytes]:
    if not isinstance(elements, Mapping):
        return _plain(elements)
    if one.spec.interval:
        return _ranges(elements)
    match one.spec.value:
        case None:
            return _plain(elements)
        case Value.BACKEND:
            return _backends(elements)
        case Value.VERDICT:
            return (_verdict(len(key), value)(key) for key, value in elements.items())


def _plain(keys: Iterable[bytes]) -> Iterator[bytes]:
    head, length = b"", -1
    for key in keys:
        if len(key) != length:
            length = len(key)
            head = _HEAD.pack(length + 12, 1 | _N, length + 8, 1 | _N, length + 4, 1)
        yield head + key


def _backends(elements: Mapping[bytes, Element]) -> Iterator[bytes]:
    head, middle, length = b"", b"", -1
    for key, value in elements.items():
        assert isinstance(value, bytes)
        if len(key) != length:
            length, data = len(key), len(value)
            head = _HEAD.pack(length + data + 20, 1 | _N, length + 8, 1 | _N, length + 4, 1)
            middle = _NEXT.pack(data + 8, 2 | _N, data + 4, 1)
        yield head + key + middle + value


def _ranges(elements: Mapping[bytes, Element]) -> Iterator[bytes]:
    for key, last in elements.items():
        assert isinstance(last, bytes)
        first = wire.nest(1, wire.attribute(1, key))
        yield wire.nest(1, first, wire.nest(10, wire.attribute(1, last)))


@lru_cache(maxsize=4096)
def _verdict(length: int, value: Element) -> Callable[[bytes], bytes]:
    match value:
        case Verdict.DROP:
            data = statements.verdict(statements.DROP)
        case ChainKey(kind=Kind.LEARN):
            data = statements.verdict(statements.JUMP, value.name)
        case ChainKey():
            data = statements.verdict(statements.GOTO, value.name)
        case _:
            raise TypeError(f"not a verdict: {value!r}")
    tail = wire.nest(2, data)
    head = _HEAD.pack(length + 12 + len(tail), 1 | _N, length + 8, 1 | _N, length + 4, 1)
    return lambda key: head + key + tail
