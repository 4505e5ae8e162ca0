"""The smallest patch that turns one object into another: JSON merge or strategic merge. No I/O."""

from collections.abc import Mapping
from typing import Any, Final

from nodekit.kube.client import Patch, PatchKind
from nodekit.objects import base, codec

# Lists of a node's and of a pod's status that the API merges by a key; every other list is replaced whole.
# Source: patchStrategy and patchMergeKey in k8s.io/api core/v1.
MERGED_LISTS: Final[Mapping[str, str]] = {
    "metadata.ownerReferences": "uid",
    "status.conditions": "type",
    "status.addresses": "type",
    "status.podIPs": "ip",
    "status.hostIPs": "ip",
    "status.resourceClaimStatuses": "name",
}

_ABSENT: Final = object()


def strategic(
    old: base.Object, new: base.Object, *, uid: str = "", merged: Mapping[str, str] = MERGED_LISTS
) -> Patch | None:
    """A strategic merge patch between two states of an object, or None when they are equal.

    `merged` gives the merge key of each list that has one, by path. With `uid` the server refuses the patch (Invalid,
    as metadata.uid is immutable) when the name now belongs to another object.
    """
    change = difference(codec.to_builtins(old), codec.to_builtins(new), merged=merged)
    return None if not change else Patch(PatchKind.STRATEGIC, codec.encode(_guarded(change, uid)))


def merge(old: base.Object, new: base.Object, *, uid: str = "") -> Patch | None:
    """A JSON merge patch between two states of an object, or None when they are equal; lists are replaced whole."""
    change = difference(codec.to_builtins(old), codec.to_builtins(new), merged={})
    return None if not change else Patch(PatchKind.MERGE, codec.encode(_guarded(change, uid)))


def difference(
    old: Mapping[str, Any], new: Mapping[str, Any], *, merged: Mapping[str, str], path: str = ""
) -> dict[str, Any]:
    """What changed between two JSON objects, null for what went; `path` is where they stand."""
    change: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name, _ABSENT)
        if before == value:
            continue
        where = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            change[name] = difference(before if isinstance(before, dict) else {}, value, merged=merged, path=where)
        elif where in merged and isinstance(before, list):
            change |= _elements(name, before, value, key=merged[where])
        else:
            change[name] = value
    return change


def _elements(name: str, old: list[Any], new: list[Any], *, key: str) -> dict[str, Any]:
    was = {element.get(key): element for element in old}
    stays = {element.get(key) for element in new}
    if len(was) != len(old) or len(stays) != len(new):
        # Two elements share a key (a node may have two InternalIPs): only replacing the list says what is meant.
        return {name: [{"$patch": "replace"}, *new]}
    change: list[dict[str, Any]] = []
    for element in new:
        before = was.get(element.get(key), {})
        if element != before:
            change.append({key: element.get(key), **difference(before, element, merged={})})
    change += [{"$patch": "delete", key: value} for value in was if value not in stays]
    order = [{key: element.get(key)} for element in new]
    return {f"$setElementOrder/{name}": order, **({name: change} if change else {})}


def _guarded(change: dict[str, Any], uid: str) -> dict[str, Any]:
    if uid:
        change["metadata"] = {**change.get("metadata", {}), "uid": uid}
    return change
