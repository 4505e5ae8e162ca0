"""Strict YAML configuration to typed settings: every mistake is told, with file, line, path and what was expected.

A configuration is a msgspec Struct derived from config_types.Section. Its field types say what may stand in the file:

- `str`, `int`, `bool`, `float`, `Literal[...]`, tuples, dicts, other Sections; `msgspec.Meta(ge=, le=)` bounds numbers;
- `Duration`: "1m30s" in the file, seconds as a float in the settings; `Amount`: a resource quantity;
- `Given[T]`: an explicit zero is meant. Otherwise `0`, `0s`, `""`, `[]` and `{}` mean the field's default, as in Go,
  where such a field is not a pointer (and as kubeadm writes them). A bool is always meant.
"""

import difflib
import re
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec

from nodekit import config_types, yamltree
from nodekit.yamltree import Items, Place, Scalar, Table, Tree

S = TypeVar("S", bound=config_types.Section)

# The last step of a path: ".field", "[3]" or "[memory.available]".
_OUTER: Final = re.compile(r"(\[[^\]]*\]|\.?[^.\[\]]+)$")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file."""

    place: Place
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.path}: {self.message}" if self.path else f"{self.place}: {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has every mistake, in the files' order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.place.file, problem.place.line)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, slots=True)
class Document(Generic[S]):
    """Settings, where each was set, and what was wrong; `places` has the paths that the files set, and only those."""

    settings: S
    places: dict[str, Place]
    problems: list[Problem]
    origin: Place

    def problem(self, path: str, message: str) -> Problem:
        """A mistake in a value, at the line that set it."""
        near = path
        while near and near not in self.places:
            near = _OUTER.sub("", near)
        return Problem(self.places.get(near, self.origin), path, message)

    def is_set(self, path: str) -> bool:
        """Whether a file sets the field to something that is not "default"."""
        return path in self.places


def read(paths: Sequence[Path], wanted: type[S], *, api_version: str | tuple[str, ...], kind: str) -> Document[S]:
    """Read files of one kind, later ones laid over earlier ones. Raises ConfigError when one is not YAML at all.

    Other mistakes are in the document's `problems`, for the caller to add its own and raise them together.
    """
    trees: list[Tree] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            tree = yamltree.load(path)
        except yamltree.YamlError as error:
            raise ConfigError([Problem(error.place, "", error.message)]) from error
        problems += [Problem(place, "", f"{name!r} stands twice") for place, name in yamltree.repeated_keys(tree)]
        versions = (api_version,) if isinstance(api_version, str) else api_version
        problems += _check_kind(tree, api_versions=versions, kind=kind)
        trees.append(tree)
    whole = trees[0]
    for tree in trees[1:]:
        whole = yamltree.laid_over(whole, tree)
    reader = _Reader(problems)
    if isinstance(whole, Table):
        entries = {name: at for name, at in whole.entries.items() if name not in ("apiVersion", "kind")}
        settings = reader.section(Table(whole.place, entries), wanted, "")
    else:
        settings = wanted()
    return Document(settings, reader.places, problems, whole.place)


def _check_kind(tree: Tree, *, api_versions: tuple[str, ...], kind: str) -> list[Problem]:
    if not isinstance(tree, Table):
        return [Problem(tree.place, "", f"expected a {kind} document, got {config_types.said(tree)}")]
    problems = []
    for name, wanted in (("apiVersion", api_versions), ("kind", (kind,))):
        at, value = tree.entries.get(name, (tree.place, None))
        if not isinstance(value, Scalar) or value.text not in wanted:
            got = "it is missing" if value is None else f"got {config_types.said(value)}"
            problems.append(Problem(at, name, f"expected {' or '.join(wanted)}, {got}"))
    return problems


def render(settings: config_types.Section) -> dict[str, Any]:
    """The settings as they would stand in a file, every field in it."""
    return {
        entry.encode_name: _rendered(getattr(settings, entry.name), config_types.plain(entry.type))
        for entry in msgspec.structs.fields(settings)
    }


def _rendered(value: Any, kind: config_types.Kind) -> Any:
    if isinstance(value, config_types.Section):
        return render(value)
    if kind.special is not None and value is not None:
        return kind.special.text(value)
    if isinstance(value, tuple):
        return [_rendered(item, config_types.plain(typing.get_args(kind.base)[0])) for item in value]
    if isinstance(value, dict):
        return {
            name: _rendered(item, config_types.plain(typing.get_args(kind.base)[1])) for name, item in value.items()
        }
    return value


_BAD: Final = object()


@dataclass(slots=True)
class _Reader:
    problems: list[Problem]
    places: dict[str, Place] = field(default_factory=dict)

    def section(self, tree: Table, wanted: type[S], path: str) -> S:
        known = {entry.encode_name: entry for entry in msgspec.structs.fields(wanted)}
        values: dict[str, Any] = {}
        for name, (place, value) in tree.entries.items():
            where = f"{path}.{name}" if path else name
            entry = known.get(name)
            if entry is None:
                self._unknown(place, where, name, known)
                continue
            kind = config_types.plain(entry.type)
            if isinstance(value, Scalar) and value.kind == "null":
                continue
            found = self.value(value, kind, where)
            if found is _BAD or (not found and not kind.given and kind.base is not bool):
                continue
            self.places[where] = place
            values[entry.name] = found
        return wanted(**values)

    def value(self, tree: Tree, kind: config_types.Kind, path: str) -> Any:
        origin = typing.get_origin(kind.base)
        if isinstance(kind.base, type) and issubclass(kind.base, config_types.Section):
            if isinstance(tree, Table):
                return self.section(tree, kind.base, path)
            return self._bad(tree, path, "expected a table of fields")
        if origin is tuple:
            if not isinstance(tree, Items):
                return self._bad(tree, path, "expected a list")
            inner = config_types.plain(typing.get_args(kind.base)[0])
            found = []
            for number, item in enumerate(tree.items):
                self.places[f"{path}[{number}]"] = item.place
                found.append(self.value(item, inner, f"{path}[{number}]"))
            return _BAD if any(item is _BAD for item in found) else tuple(found)
        if origin is dict:
            if not isinstance(tree, Table):
                return self._bad(tree, path, "expected a table of names and values")
            inner = config_types.plain(typing.get_args(kind.base)[1])
            pairs = {}
            for name, (place, item) in tree.entries.items():
                self.places[f"{path}[{name}]"] = place
                pairs[name] = self.value(item, inner, f"{path}[{name}]")
            return _BAD if any(item is _BAD for item in pairs.values()) else pairs
        return self._scalar(tree, kind, path)

    def _scalar(self, tree: Tree, kind: config_types.Kind, path: str) -> Any:
        expected = config_types.expected(kind)
        if not isinstance(tree, Scalar):
            return self._bad(tree, path, f"expected {expected}")
        try:
            found = config_types.read_scalar(tree, kind)
        except ValueError as error:
            said = str(error)
            return self._note(tree.place, path, said if said else f"expected {expected}, got {config_types.said(tree)}")
        bounds = kind.bounds
        # A zero that means "default" is within any bounds.
        if bounds is not None and (found or kind.given) and not config_types.within(found, bounds):
            return self._note(tree.place, path, f"expected {expected}, got {tree.text}")
        return found

    def _unknown(self, place: Place, where: str, name: str, known: Iterable[str]) -> None:
        by_lower = {other.lower(): other for other in known}
        close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
        hint = f"; did you mean {by_lower[close[0]]!r}?" if close else ""
        self._note(place, where, f"unknown field{hint}")

    def _bad(self, tree: Tree, path: str, expected: str) -> Any:
        return self._note(tree.place, path, f"{expected}, got {config_types.said(tree)}")

    def _note(self, place: Place, path: str, message: str) -> Any:
        self.problems.append(Problem(place, path, message))
        return _BAD
