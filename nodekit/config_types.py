"""What may stand in a configuration field: sections, durations, quantities, bounds; how scalars are read. No I/O."""

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, TypeVar, dataclass_transform

import msgspec

from nodekit import duration
from nodekit.objects import quantity
from nodekit.yamltree import Items, Scalar, Table, Tree

_CAPITALS: Final = {
    word.lower(): word
    for word in "API ARP CA CFS CIDR CIDRs CPUs DNS DSR GC ID OOM QOS QPS TLS TTL URL".split()  # noqa: SIM905
}


def _name(field_name: str) -> str:
    first, *rest = field_name.split("_")
    return first + "".join(_CAPITALS.get(word) or word[:1].upper() + word[1:] for word in rest)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Section(msgspec.Struct, frozen=True, rename=_name):
    """A table of the configuration file; names follow the API's, with exceptions by `msgspec.field(name=...)`."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Special:
    """A type written as a scalar of its own form; `of_number` reads a bare number where one is allowed."""

    parse: Callable[[str], Any]
    text: Callable[[Any], str]
    expected: str
    of_number: Callable[[str], Any] | None = None


class _Given:
    """Marks a field whose explicit zero is meant."""


_GIVEN: Final = _Given()
Given = Annotated[T, _GIVEN]
Duration: TypeAlias = Annotated[float, Special(duration.parse, duration.text, 'a duration such as "1m30s"')]
Amount: TypeAlias = Annotated[
    quantity.Quantity, Special(quantity.parse, str, 'a quantity such as "100Mi" or "500m"', quantity.parse)
]


@dataclass(frozen=True, slots=True)
class Kind:
    """A field's type taken apart."""

    base: Any
    given: bool = False
    special: Special | None = None
    bounds: msgspec.Meta | None = None


def plain(declared: Any) -> Kind:
    given, special, bounds = False, None, None
    while True:
        if typing.get_origin(declared) is Annotated:
            declared, *notes = typing.get_args(declared)
            for note in notes:
                given = given or note is _GIVEN
                special = note if isinstance(note, Special) else special
                bounds = note if isinstance(note, msgspec.Meta) else bounds
        elif isinstance(declared, types.UnionType) or typing.get_origin(declared) is typing.Union:
            # Only `X | None` is used: absent, or an X that is meant even when it is zero.
            declared = next(part for part in typing.get_args(declared) if part is not type(None))
            given = True
        else:
            return Kind(declared, given, special, bounds)


def read_scalar(tree: Scalar, kind: Kind) -> Any:
    """The value; ValueError, with words when they say more than what was expected."""
    if kind.special is not None:
        if tree.kind == "str":
            return kind.special.parse(tree.text) if tree.text else 0
        if tree.kind in ("int", "float") and kind.special.of_number is not None:
            return kind.special.of_number(tree.text)
        raise ValueError
    if typing.get_origin(kind.base) is typing.Literal:
        if tree.kind == "str" and tree.text in ("", *typing.get_args(kind.base)):
            return tree.text
        raise ValueError
    if kind.base is str and tree.kind == "str":
        return tree.text
    if kind.base is bool and tree.kind == "bool":
        return tree.text.lower() in ("true", "yes", "on")
    if kind.base is int and tree.kind == "int":
        return int(tree.text.replace("_", ""), 0) if not tree.text.lstrip("+-").isdigit() else int(tree.text)
    if kind.base is float and tree.kind in ("int", "float"):
        return float(tree.text)
    raise ValueError


def within(found: Any, bounds: msgspec.Meta) -> bool:
    low, high = bounds.ge, bounds.le
    return (low is None or found >= low) and (high is None or found <= high)


def expected(kind: Kind) -> str:
    if kind.special is not None:
        what = kind.special.expected
    elif typing.get_origin(kind.base) is typing.Literal:
        what = "one of " + ", ".join(repr(choice) for choice in typing.get_args(kind.base) if choice)
    else:
        names = {str: "a string", bool: "true or false", int: "an integer", float: "a number"}
        what = names.get(kind.base, str(kind.base))
    if kind.bounds is None:
        return what
    low, high = kind.bounds.ge, kind.bounds.le
    if low is not None and high is not None:
        return f"{what} from {low:g} to {high:g}"
    return f"{what} of at least {low:g}" if low is not None else f"{what} of at most {high:g}"


def said(tree: Tree) -> str:
    match tree:
        case Table():
            return "a table"
        case Items():
            return "a list"
        case Scalar(kind="str"):
            return f"the string {tree.text!r}"
        case Scalar():
            return {"int": "the number", "float": "the number", "bool": "the boolean"}.get(tree.kind, "") + (
                f" {tree.text}" if tree.kind != "null" else "null"
            )
