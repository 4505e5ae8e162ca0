"""The objects and the history of the in-memory API server: versions, selection, watches. No HTTP."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]

_REQUIREMENT: Final = re.compile(r"\s*(!?)([^!=\s]+)\s*(==|=|!=)?\s*([^\s]*)\s*")


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one object; `before` is None for a new one."""

    version: int
    type: str
    collection: str
    before: Json | None
    after: Json


@dataclass(slots=True)
class Store:
    """Objects by collection ("/api/v1/pods"), namespace and name."""

    version: int = 1
    objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    history: list[Event] = field(default_factory=list)
    oldest: int = 0

    def put(self, collection: str, after: Json) -> Json:
        """Store an object under a new version."""
        key = (collection, after["metadata"].get("namespace", ""), after["metadata"]["name"])
        before = self.objects.get(key)
        stored = self._stamped(after)
        self.objects[key] = stored
        kind = "ADDED" if before is None else "MODIFIED"
        self.history.append(Event(self.version, kind, collection, before, stored))
        return stored

    def remove(self, key: tuple[str, str, str]) -> Json:
        """Take an object out."""
        before = self.objects.pop(key)
        last = self._stamped(before)
        self.history.append(Event(self.version, "DELETED", key[0], before, last))
        return last

    def forget_history(self) -> None:
        """Compact: a watch from before now is too old."""
        self.history.clear()
        self.oldest = self.version

    def select(self, collection: str, namespace: str, query: dict[str, str]) -> list[Json]:
        """Objects of a collection in the order of their names."""
        found = [
            item
            for (kind, where, _), item in sorted(self.objects.items())
            if kind == collection and namespace in ("", where)
        ]
        return [item for item in found if matches(item, query)]

    def seen(self, event: Event, query: dict[str, str]) -> tuple[str, Json] | None:
        """What a watch with that selection is told of a change: its type and object; None when it is nothing."""
        was = event.before is not None and matches(event.before, query)
        is_now = event.type != "DELETED" and matches(event.after, query)
        if was and is_now:
            return "MODIFIED", event.after
        if is_now:
            return "ADDED", event.after
        return ("DELETED", event.after) if was else None

    def _stamped(self, value: Json) -> Json:
        self.version += 1
        return {**value, "metadata": {**value["metadata"], "resourceVersion": str(self.version)}}


def matches(item: Json, query: dict[str, str]) -> bool:
    """Whether an object fits the field and label selectors of a query."""
    for name, operator, value in _requirements(query.get("fieldSelector", "")):
        if not _holds(_at(item, name), operator, value):
            return False
    labels = item["metadata"].get("labels", {})
    return all(
        _holds(labels.get(name), operator, value)
        for name, operator, value in _requirements(query.get("labelSelector", ""))
    )


def _requirements(selector: str) -> Iterator[tuple[str, str, str]]:
    for part in filter(None, selector.split(",")):
        found = _REQUIREMENT.fullmatch(part)
        if found is None:
            raise ValueError(f"the fake cannot read the selector {part!r}")
        negated, name, operator, value = found.groups()
        yield name, operator or ("absent" if negated else "present"), value


def _holds(found: str | None, operator: str, value: str) -> bool:
    match operator:
        case "absent":
            return found is None
        case "present":
            return found is not None
        case "!=":
            return (found or "") != value
        case _:
            return (found or "") == value


def _at(item: Json, path: str) -> str | None:
    place: Any = item
    for part in path.split("."):
        place = place.get(part) if isinstance(place, dict) else None
    return None if place is None else str(place)
