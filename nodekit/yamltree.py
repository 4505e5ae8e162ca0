"""YAML files as trees that know the file and line of everything in them, and laying one over another. No types."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

DEEPEST: Final = 100
"""Levels of nesting that a file may have. A reader that follows more can be brought to a stop by a few bytes."""
MOST: Final = 1_000_000
"""Values that a file may stand for with all its aliases followed."""
NO_LINE: Final = 0
"""The line of what is a place by its name alone: a flag."""

_TAG: Final = "tag:yaml.org,2002:"
# What YAML 1.1 sees in plain words and Kubernetes does not: they are strings here.
_JUST_STRINGS: Final = {"timestamp", "value", "binary"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line != NO_LINE else self.file


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value, as written; `kind` is what YAML takes it for: str, int, float, bool or null."""

    place: Place
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    place: Place
    items: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; each entry with the place of its key."""

    place: Place
    entries: dict[str, tuple[Place, "Tree"]]
    repeated: tuple[tuple[Place, str], ...] = ()


Tree: TypeAlias = Scalar | Items | Table


class YamlError(Exception):
    """The file is not readable as one YAML document; `place` says where."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


def load(path: Path) -> Tree:
    """Read one file; raises YamlError. An empty file is an empty table."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise YamlError(Place(str(path), 1), f"cannot be read: {reason}") from error
    return parse(text, file=str(path))


def parse(text: str, *, file: str) -> Tree:
    """Read one document; raises YamlError."""
    try:
        _check_brackets(text)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise _error(error, file) from error
    return Table(Place(file, 1), {}) if node is None else _tree(node, file)


def plain(body: bytes, *, file: str) -> Any:
    """One document as dicts, lists and plain values; raises YamlError."""
    try:
        text = body.decode()
        _check_brackets(text)
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise _error(error, file) from error
    except UnicodeDecodeError as error:
        raise YamlError(Place(file, 1), "not YAML: not UTF-8 text") from error
    except ValueError as error:  # a number or a date that is none
        raise YamlError(Place(file, 1), f"not YAML: {error}") from error


class _Loader(yaml.SafeLoader):
    """One that is not led astray by depth, or by aliases of aliases."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._left = MOST
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As it is, counted."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        before, self._depth = self._left, self._depth + 1
        if self._depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {DEEPEST} levels", problem_mark=mark)
        is_alias = self.check_event(yaml.AliasEvent)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if is_alias and node not in self._sizes:
            raise yaml.MarkedYAMLError(problem="an alias of what it is in", problem_mark=mark)
        self._left -= self._sizes[node] if is_alias else 1
        if self._left < 0:
            raise yaml.MarkedYAMLError(problem=f"more than {MOST} values with its aliases", problem_mark=mark)
        self._sizes.setdefault(node, before - self._left)
        return node


def _check_brackets(text: str) -> None:
    """Refuse what takes the scanner itself too long; brackets in quotes are counted too, but come in pairs there."""
    depth = 0
    for number, line in enumerate(text.splitlines()):
        depth += line.count("[") + line.count("{") - line.count("]") - line.count("}")
        if depth > DEEPEST:
            mark = yaml.Mark("", 0, number, 0, None, 0)
            raise yaml.MarkedYAMLError(problem=f"more than {DEEPEST} brackets are open", problem_mark=mark)
        depth = max(depth, 0)


def _error(error: yaml.YAMLError, file: str) -> YamlError:
    if not isinstance(error, yaml.MarkedYAMLError):
        return YamlError(Place(file, 1), f"not YAML: {error}")
    mark = error.problem_mark or error.context_mark
    said = ", ".join(part for part in (error.context, error.problem) if part)
    return YamlError(Place(file, mark.line + 1 if mark else 1), f"not YAML: {said}")


def laid_over(base: Tree, top: Tree) -> Tree:
    """`top` over `base`: tables are merged entry by entry, null removes, anything else replaces (RFC 7396)."""
    if not isinstance(base, Table) or not isinstance(top, Table):
        return top
    entries = dict(base.entries)
    for name, (place, value) in top.entries.items():
        if isinstance(value, Scalar) and value.kind == "null":
            entries.pop(name, None)
        elif name in entries:
            entries[name] = (place, laid_over(entries[name][1], value))
        else:
            entries[name] = (place, value)
    return Table(base.place, entries, base.repeated + top.repeated)


def repeated_keys(tree: Tree) -> Iterator[tuple[Place, str]]:
    """Every key that stands twice in one table."""
    match tree:
        case Table():
            yield from tree.repeated
            for _, value in tree.entries.values():
                yield from repeated_keys(value)
        case Items():
            for item in tree.items:
                yield from repeated_keys(item)
        case Scalar():
            return


def _tree(node: yaml.Node, file: str) -> Tree:
    place = Place(file, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return Items(place, tuple(_tree(item, file) for item in node.value))
    if isinstance(node, yaml.MappingNode):
        return _table(node.value, file, place)
    kind = str(node.tag).removeprefix(_TAG)
    return Scalar(place, str(node.value), "str" if kind in _JUST_STRINGS else kind)


def _table(pairs: Sequence[tuple[yaml.Node, yaml.Node]], file: str, place: Place) -> Table:
    entries: dict[str, tuple[Place, Tree]] = {}
    repeated = []
    for key, value in pairs:
        name, at = str(key.value), Place(file, key.start_mark.line + 1)
        if name in entries:
            repeated.append((at, name))
        entries[name] = (at, _tree(value, file))
    return Table(place, entries, tuple(repeated))
