"""Spoils what was right: YAML documents as text and as trees, and protobuf messages. All of it drawn from a Random."""

import copy
from random import Random
from typing import Any, Final

import yaml
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_PIECES: Final = (
    b": ", b"- ", b"{", b"}", b"[", b"]", b"\n", b"\t", b"\x00", b"\xff\xfe", b"&a [*a]", b"*nobody",
    b"!!python/name:os.x ", b"!!binary ", b"99999999999999999999", b"1e999", b".inf", b".nan", b"~", b"null", b"---\n",
    b"...\n", b"|\n", b"'", b'"', b"%YAML 9.9\n", b"\xe2\x80\xae", b"? ", b"<<: ", b"[" * 3000, b"{a: " * 1500,
    b"0o99", b"-0", b"2026-01-01",
)  # fmt: skip
_VALUES: Final = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 1.5, float("inf"), float("nan"), "", " ", "a", "0",
    "-1", "1Gi", "1e99999", "9" * 400, "../..", "/", "/etc/passwd", "\x00", "ünïcode", "a" * 5000, [], {}, [None], [[]],
    [{}], {"a": 1}, {"": ""},
)  # fmt: skip


def text(body: bytes, draw: Random) -> bytes:
    """A document with some of its bytes changed, lost, doubled or put in."""
    found = bytearray(body)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(found) + 1)
        to = min(len(found), at + draw.randint(1, 40))
        match draw.randrange(5):
            case 0:
                del found[at:to]
            case 1:
                found[at:at] = found[at:to]
            case 2:
                found[at:at] = draw.choice(_PIECES)
            case 3 if at < len(found):
                found[at] = draw.randrange(256)
            case _:
                del found[at:]
    return bytes(found)


def tree(value: Any, draw: Random) -> Any:
    """A document with some of its values replaced by what nobody would write, or gone, or under another name."""
    found = copy.deepcopy(value)
    for _ in range(draw.randint(1, 3)):
        holders = [holder for holder in _holders(found) if holder]
        if not holders:
            return draw.choice(_VALUES)
        holder = draw.choice(holders)
        key = draw.choice(sorted(holder) if isinstance(holder, dict) else range(len(holder)))
        match draw.randrange(4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[f"{key}x"] = holder.pop(key)
            case _:
                holder[key] = copy.deepcopy(draw.choice(_VALUES))
    return found


def document(value: Any, draw: Random) -> bytes:
    """A spoilt document, whichever way."""
    if draw.random() < 0.5:
        return text(yaml.safe_dump(value).encode(), draw)
    return yaml.safe_dump(tree(value, draw), allow_unicode=True).encode()


def _holders(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(found for item in inner for found in _holders(item))] if isinstance(value, dict | list) else []


_STRINGS: Final = (
    "",
    "a",
    "main",
    "-1",
    "1.5",
    "x" * 300,
    "\u202e",
    "/a/../b",
    "SIGTERM",
    "Completed",
    "0x",
    "{",
    "[]",
    "null",
)
_NUMBERS: Final = (0, 1, -1, 137, 255, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 1_900_000_000_000_000_000)


def message(made: Message, draw: Random, *, keep: float = 0.0, depth: int = 4) -> Message:
    """Fill a message at random. Fields that are set stay as they are with the probability `keep`."""
    for field in made.DESCRIPTOR.fields:
        there = bool(len(getattr(made, field.name))) if field.is_repeated else _is_set(made, field)
        if (there and draw.random() < keep) or draw.random() < 0.3:
            continue
        made.ClearField(field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _fill_map(getattr(made, field.name), field, draw)
        elif field.is_repeated:
            for _ in range(draw.randint(0, 2)):
                if field.message_type is None:
                    getattr(made, field.name).append(_scalar(field, draw))
                elif depth:
                    message(getattr(made, field.name).add(), draw, depth=depth - 1)
        elif field.message_type is None:
            setattr(made, field.name, _scalar(field, draw))
        elif depth:
            message(getattr(made, field.name), draw, depth=depth - 1)
            getattr(made, field.name).SetInParent()
    return made


def _is_set(made: Message, field: FieldDescriptor) -> bool:
    return made.HasField(field.name) if field.has_presence else bool(getattr(made, field.name))


def _fill_map(values: Any, field: FieldDescriptor, draw: Random) -> None:
    entry = field.message_type
    for _ in range(draw.randint(0, 2)):
        key = _scalar(entry.fields_by_name["key"], draw)
        value = entry.fields_by_name["value"]
        if value.message_type is None:
            values[key] = _scalar(value, draw)
        else:
            message(values[key], draw, depth=1)


def _scalar(field: FieldDescriptor, draw: Random) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return draw.choice(_STRINGS)
        case FieldDescriptor.TYPE_BYTES:
            return draw.choice(_STRINGS).encode()
        case FieldDescriptor.TYPE_BOOL:
            return draw.random() < 0.5
        case FieldDescriptor.TYPE_ENUM:
            return draw.choice((0, 1, 2, 3, 77))
        case FieldDescriptor.TYPE_DOUBLE | FieldDescriptor.TYPE_FLOAT:
            return draw.choice((0.0, -1.0, float("inf"), float("nan")))
        case FieldDescriptor.TYPE_INT32 | FieldDescriptor.TYPE_SINT32:
            return draw.choice([n for n in _NUMBERS if abs(n) <= 2**31 - 1])
        case FieldDescriptor.TYPE_UINT32:
            return draw.choice((0, 1, 2**32 - 1))
        case FieldDescriptor.TYPE_UINT64 | FieldDescriptor.TYPE_FIXED64:
            return draw.choice((0, 1, 2**64 - 1))
        case _:
            return draw.choice(_NUMBERS)
