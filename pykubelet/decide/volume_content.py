"""Which files a configMap, secret, downwardAPI or projected volume holds. No I/O.

Source: pkg/volume/{configmap,secret,downwardapi,projected}.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

from pykubelet.decide import downward
from pykubelet.model.container import Container
from pykubelet.model.kinds import ConfigMap, ConfigMapOrNot, Missing, NotSynced, Secret, SecretOrNot
from pykubelet.model.pod import Pod
from pykubelet.model.volume import DownwardAPIFile, KeyToPath


class ContentError(Exception):
    """The volume cannot be filled now: what is missing, in the words of a FailedMount event."""


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """`mode` is the file's permission bits; `uid` its owner, if not root."""

    data: bytes
    mode: int
    uid: int | None = None


Files = dict[str, File]
"""By path inside the volume, always relative and without `..`."""


def of_config_map(found: ConfigMap | None, items: tuple[KeyToPath, ...], *, mode: int, optional: bool) -> Files:
    """All keys, or the chosen ones under their paths. `found` None is an optional ConfigMap that is not there."""
    data = {key: text.encode() for key, text in found.data.items()} | found.binary_data if found else {}
    return _chosen(data, items, mode=mode, optional=optional, what="configmap")


def of_secret(found: Secret | None, items: tuple[KeyToPath, ...], *, mode: int, optional: bool) -> Files:
    return _chosen(found.data if found else {}, items, mode=mode, optional=optional, what="secret")


def of_downward(pod: Pod, items: Iterable[DownwardAPIFile], facts: downward.Facts, *, mode: int) -> Files:
    files: Files = {}
    for item in items:
        try:
            if item.field_ref:
                text = downward.field(pod, item.field_ref.field_path, facts)
            elif item.resource_field_ref:
                container = _container(pod, item.resource_field_ref.container_name)
                text = downward.resource(pod, container, item.resource_field_ref, facts)
            else:
                continue
        except ValueError as error:
            raise ContentError(str(error)) from error
        files[_safe(item.path)] = File(text.encode(), item.mode if item.mode is not None else mode)
    return files


def config_map(get: Callable[[str], ConfigMapOrNot], pod: Pod, name: str, *, optional: bool) -> ConfigMap | None:
    """The ConfigMap; None if it is optional and not there; ContentError otherwise."""
    found = get(name)
    if isinstance(found, ConfigMap):
        return found
    _refuse(found, f'configmap "{name}"', pod, optional=optional)
    return None


def secret(get: Callable[[str], SecretOrNot], pod: Pod, name: str, *, optional: bool) -> Secret | None:
    found = get(name)
    if isinstance(found, Secret):
        return found
    _refuse(found, f'secret "{name}"', pod, optional=optional)
    return None


def _refuse(found: Missing | NotSynced, what: str, pod: Pod, *, optional: bool) -> None:
    match found:
        case Missing() if optional:
            return
        case Missing():
            raise ContentError(f"{what} not found")
        case NotSynced():
            raise ContentError(f"object {what} in namespace {pod.metadata.namespace} has not been read yet")
        case _:
            assert_never(found)


def _chosen(data: Mapping[str, bytes], items: tuple[KeyToPath, ...], *, mode: int, optional: bool, what: str) -> Files:
    if not items:
        return {_safe(key): File(value, mode) for key, value in data.items()}
    files: Files = {}
    for item in items:
        if item.key in data:
            files[_safe(item.path)] = File(data[item.key], item.mode if item.mode is not None else mode)
        elif not optional:
            words = (
                "configmap references non-existent config" if what == "configmap" else "references non-existent secret"
            )
            raise ContentError(f"{words} key: {item.key}")
    return files


def _container(pod: Pod, name: str) -> Container:
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        if container.name == name:
            return container
    raise ContentError(f"cannot find container with name {name}")


def _safe(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or not path or parts[0].startswith(".."):
        raise ContentError(f"invalid path {path}: must be relative and must not contain '..'")
    return "/".join(part for part in parts if part not in ("", "."))
