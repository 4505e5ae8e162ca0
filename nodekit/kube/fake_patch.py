"""How the in-memory API server applies patches to objects held as JSON values. No I/O."""

from collections.abc import Mapping
from typing import Any

import msgspec

from nodekit.kube.client import PatchKind
from nodekit.kube.patch import MERGED_LISTS

Json = dict[str, Any]


def applied(target: Json, body: bytes, content_type: str) -> Json:
    """The object after the patch; raises ValueError when the patch does not fit it."""
    change = msgspec.json.decode(body)
    match PatchKind(content_type):
        case PatchKind.JSON:
            return _json_patched(target, change)
        case PatchKind.STRATEGIC:
            return _merged(target, change, "", MERGED_LISTS)
        case PatchKind.MERGE | PatchKind.APPLY:
            return _merged(target, change, "", {})


def _merged(target: Any, change: Json, path: str, keys: Mapping[str, str]) -> Json:
    result: Json = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        where = f"{path}.{name}" if path else name
        if name.startswith("$"):
            continue
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = _merged(result.get(name), value, where, keys)
        elif where in keys:
            order = change.get(f"$setElementOrder/{name}")
            result[name] = _merged_list(result.get(name, []), value, keys[where], order)
        else:
            result[name] = value
    return result


def _merged_list(target: list[Json], change: list[Json], key: str, order: list[Json] | None) -> list[Json]:
    if any(element.get("$patch") == "replace" for element in change):
        return [element for element in change if "$patch" not in element]
    result = {element.get(key): element for element in target}
    for element in change:
        if element.get("$patch") == "delete":
            result.pop(element.get(key), None)
        else:
            result[element.get(key)] = _merged(result.get(element.get(key)), element, "", {})
    if order is not None:
        wanted = [element[key] for element in order if element[key] in result]
        return [result.pop(value) for value in wanted] + list(result.values())
    return list(result.values())


def _json_patched(target: Json, operations: list[Json]) -> Json:
    """RFC 6902's add, replace, remove and test."""
    whole: Any = msgspec.json.decode(msgspec.json.encode(target))
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place = whole
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        index: Any = len(place) if last == "-" else int(last) if isinstance(place, list) else last
        match operation["op"]:
            case "add" if isinstance(place, list):
                place.insert(index, operation["value"])
            case "add" | "replace":
                place[index] = operation["value"]
            case "remove":
                del place[index]
            case "test":
                if place[index] != operation["value"]:
                    raise ValueError(f"test failed at {operation['path']}")
            case other:
                raise ValueError(f"the fake knows no operation {other}")
    result: Json = whole
    return result
