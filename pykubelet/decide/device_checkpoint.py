"""The file in which a kubelet keeps who has which devices, as text; the genuine kubelet's format. No I/O.

Source: K/pkg/kubelet/cm/devicemanager/checkpoint. Its checksum is FNV-1a over what Go's spew prints of the Go structs,
and a kubelet that finds another one starts with nothing assigned: it is computed here alike.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import field

from pykubelet.decide import hashing
from pykubelet.model.devices import Assignment
from pykubelet.model.ids import Uid


class _Entry(msgspec.Struct):
    uid: str = field(name="PodUID")
    container: str = field(name="ContainerName")
    resource: str = field(name="ResourceName")
    ids: dict[int, list[str] | None] | None = field(name="DeviceIDs")
    answer: str | None = field(name="AllocResp")


class _Data(msgspec.Struct):
    entries: list[_Entry] | None = field(name="PodDeviceEntries")
    registered: dict[str, list[str] | None] | None = field(name="RegisteredDevices")


class _File(msgspec.Struct):
    data: _Data = field(name="Data")
    checksum: int = field(name="Checksum")


def read(text: bytes) -> tuple[tuple[Assignment, ...], frozenset[str]]:
    """The assignments (without their grants) and the resources that plugins offered. ValueError if it is corrupt."""
    try:
        found = msgspec.json.decode(text, type=_File)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a checkpoint of devices: {error}") from error
    if found.checksum != _checksum(found.data):
        raise ValueError(f"its checksum is {_checksum(found.data)}, and it says {found.checksum}")
    assigned = tuple(
        Assignment(
            uid=Uid(entry.uid),
            container=entry.container,
            resource=entry.resource,
            by_numa={node: tuple(ids or ()) for node, ids in (entry.ids or {}).items()},
            answer=b64decode(entry.answer or ""),
        )
        for entry in found.data.entries or ()
    )
    return assigned, frozenset(found.data.registered or ())


def write(assigned: Iterable[Assignment], registered: Mapping[str, Sequence[str]]) -> bytes:
    """The file's content; `registered` are the healthy devices of each resource that plugins offer."""
    entries = [
        _Entry(
            uid=one.uid,
            container=one.container,
            resource=one.resource,
            ids={node: list(ids) for node, ids in one.by_numa.items()},
            answer=b64encode(one.answer).decode(),
        )
        for one in assigned
    ]
    data = _Data(entries=entries, registered={name: list(ids) for name, ids in registered.items()})
    return msgspec.json.encode(_File(data=data, checksum=_checksum(data)))


def _checksum(data: _Data) -> int:
    entries = _go_list("checkpoint.PodDevicesEntry", data.entries, _go_entry)
    registered = _go_map("map[string][]string", data.registered)
    return hashing.fnv1a(
        f"(checkpoint.checkpointData){{PodDeviceEntries:{entries} RegisteredDevices:{registered}}}".encode()
    )


def _go_entry(entry: _Entry) -> str:
    raw = None if entry.answer is None else list(b64decode(entry.answer))
    answer = "<nil>" if raw is None else f"[{' '.join(map(str, raw))}]"
    return (
        f"{{PodUID:(string){entry.uid} ContainerName:(string){entry.container} ResourceName:(string){entry.resource} "
        f"DeviceIDs:{_go_map('checkpoint.DevicesPerNUMA', entry.ids)} AllocResp:([]uint8){answer}}}"
    )


def _go_list(kind: str, found: list[_Entry] | None, shown: Any) -> str:
    return f"([]{kind}){'<nil>' if found is None else '[' + ' '.join(map(shown, found)) + ']'}"


def _go_map(kind: str, found: Mapping[Any, list[str] | None] | None) -> str:
    if found is None:
        return f"({kind})<nil>"
    shown = (f"{key}:{'<nil>' if ids is None else '[' + ' '.join(ids) + ']'}" for key, ids in sorted(found.items()))
    return f"({kind})map[{' '.join(shown)}]"
