"""How the text of a flag is read: by the type of the configuration field it stands for, as Go's flag packages read it.

Source: github.com/spf13/pflag, k8s.io/component-base/cli/flag, pkg/util/flag. All readers raise ArgumentTypeError.
"""

import argparse
import typing
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from nodekit import config_types, duration
from nodekit.config_logging import FileVerbosity
from nodekit.config_types import Kind
from nodekit.objects import quantity
from pykubelet.config.parts import MemoryReservation, Taint

Read: TypeAlias = Callable[[str], Any]

_BOOLEANS: Final = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def boolean(text: str) -> bool:
    """true or false."""
    if text.lower() not in _BOOLEANS:
        raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")
    return _BOOLEANS[text.lower()]


def words(text: str) -> tuple[str, ...]:
    """A comma-separated list."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def seconds(text: str) -> float:
    """A Go duration."""
    try:
        return duration.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def of(kind: Kind, *, separator: str) -> Read:
    """The reader of a field's values; `separator` stands between the name and the value of a map's entries."""
    origin = typing.get_origin(kind.base)
    if origin is dict:
        return pairs(of(config_types.plain(typing.get_args(kind.base)[1]), separator=separator), separator=separator)
    if origin is tuple:
        return words
    return boolean if kind.base is bool else _single(kind)


def pairs(read: Read, *, separator: str) -> Read:
    """A map: `memory.available<100Mi,nodefs.available<10%`."""

    def read_all(text: str) -> dict[str, Any]:
        found = {}
        for word in filter(None, text.split(",")):
            name, mark, value = (part.strip() for part in word.partition(separator))
            if not mark:
                raise argparse.ArgumentTypeError(f"expected name{separator}value,..., got {word!r}")
            try:
                found[name] = read(value)
            except argparse.ArgumentTypeError as error:
                raise argparse.ArgumentTypeError(f"{name}: {error}") from error
        return found

    return read_all


def headers(text: str) -> dict[str, tuple[str, ...]]:
    """`a:hello,b:again,b:more`: a name may stand more than once."""
    found: dict[str, tuple[str, ...]] = {}
    for word in words(text):
        name, mark, value = (part.strip() for part in word.partition(":"))
        if not mark:
            raise argparse.ArgumentTypeError(f"expected name:value,..., got {word!r}")
        found[name] = (*found.get(name, ()), value)
    return found


def one_pair(text: str) -> dict[str, str]:
    """A single `name=value`, in which commas are the value's."""
    name, mark, value = (part.strip() for part in text.partition("="))
    if not mark:
        raise argparse.ArgumentTypeError(f"expected name=value, got {text!r}")
    return {name: value}


def taints(text: str) -> tuple[Taint, ...]:
    """`key=value:effect,key:effect`."""
    found: list[Taint] = []
    for word in words(text):
        pair, colon, effect = word.rpartition(":")
        key, _, value = pair.partition("=")
        if not colon or not key or effect not in _EFFECTS:
            raise argparse.ArgumentTypeError(f"expected key=value:{'|'.join(_EFFECTS)}, got {word!r}")
        if any((one.key, one.effect) == (key, effect) for one in found):
            raise argparse.ArgumentTypeError(f"there are two taints {key}:{effect}")
        # The words of _EFFECTS are all that the field allows.
        found.append(Taint(key=key, value=value, effect=typing.cast(Any, effect)))
    return tuple(found)


def reservations(text: str) -> tuple[MemoryReservation, ...]:
    """`0:memory=1Gi,hugepages-1M=2Gi;1:memory=2Gi`."""
    found = []
    read = pairs(_amount, separator="=")
    for word in filter(None, text.split(";")):
        node, colon, limits = word.partition(":")
        if not colon or not node.isdigit() or not limits:
            raise argparse.ArgumentTypeError(f"expected node:memory=amount,...;..., got {word!r}")
        found.append(MemoryReservation(numa_node=int(node), limits=read(limits)))
    return tuple(found)


def modules(text: str) -> tuple[FileVerbosity, ...]:
    """`pattern=2,other=5`."""
    found = pairs(_single(Kind(int)), separator="=")(text)
    return tuple(FileVerbosity(file_pattern=name, verbosity=level) for name, level in found.items())


def _amount(text: str) -> quantity.Quantity:
    try:
        return quantity.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _single(kind: Kind) -> Read:
    def read(text: str) -> Any:
        try:
            found = _scalar(kind, text)
        except ValueError as error:
            said = str(error) if kind.special is not None else ""
            raise argparse.ArgumentTypeError(said or f"expected {config_types.expected(kind)}, got {text!r}") from error
        if kind.bounds is not None and not config_types.within(found, kind.bounds):
            raise argparse.ArgumentTypeError(f"expected {config_types.expected(kind)}, got {text}")
        return found

    return read


def _scalar(kind: Kind, text: str) -> Any:
    if kind.special is not None:
        return kind.special.parse(text)
    if typing.get_origin(kind.base) is typing.Literal and text not in typing.get_args(kind.base):
        raise ValueError
    if kind.base is bool:
        return boolean(text)
    return int(text, 0) if kind.base is int else text
