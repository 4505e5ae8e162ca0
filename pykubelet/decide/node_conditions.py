"""Decide a Node's conditions: memory, disk and process pressure, and Ready, which stands last. No I/O.

Reasons, messages and events are those of K/pkg/kubelet/nodestatus/setters.go.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from nodekit.objects.node import NodeCondition
from pykubelet.model.machine import Pressure

MEMORY: Final = "MemoryPressure"
DISK: Final = "DiskPressure"
PIDS: Final = "PIDPressure"
READY: Final = "Ready"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conditions, and the words for events about those that changed: `NodeReady`, `NodeHasDiskPressure`."""

    conditions: tuple[NodeCondition, ...]
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Wording:
    """How one state of a condition is told."""

    status: str
    reason: str
    message: str
    event: str


_TRUE: Final = {
    MEMORY: _Wording(
        "True", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available", "NodeHasInsufficientMemory"
    ),
    DISK: _Wording("True", "KubeletHasDiskPressure", "kubelet has disk pressure", "NodeHasDiskPressure"),
    PIDS: _Wording(
        "True", "KubeletHasInsufficientPID", "kubelet has insufficient PID available", "NodeHasInsufficientPID"
    ),
    READY: _Wording("True", "KubeletReady", "kubelet is posting ready status", "NodeReady"),
}
_FALSE: Final = {
    MEMORY: _Wording(
        "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available", "NodeHasSufficientMemory"
    ),
    DISK: _Wording("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", "NodeHasNoDiskPressure"),
    PIDS: _Wording("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available", "NodeHasSufficientPID"),
}


def of(previous: Iterable[NodeCondition], pressure: Pressure, *, problems: Iterable[str], now: dt.datetime) -> Verdict:
    """The conditions now; those of others stay. `problems` says why the node is not ready, empty if it is."""
    old = {condition.type: condition for condition in previous}
    told = {
        kind: (_TRUE if short else _FALSE)[kind]
        for kind, short in ((MEMORY, pressure.memory), (DISK, pressure.disk), (PIDS, pressure.pids))
    }
    unready = _joined(problems)
    told[READY] = _Wording("False", "KubeletNotReady", unready, "NodeNotReady") if unready else _TRUE[READY]
    new = {kind: _condition(kind, wording, old.get(kind), now) for kind, wording in told.items()}
    events = tuple(wording.event for kind, wording in told.items() if _is_event(kind, wording, old.get(kind)))
    kept = tuple(new.get(kind, condition) for kind, condition in old.items())
    return Verdict((*kept, *(condition for kind, condition in new.items() if kind not in old)), events)


def without_heartbeats(conditions: Iterable[NodeCondition]) -> tuple[NodeCondition, ...]:
    """The conditions to compare by: a heartbeat alone is no change."""
    bare = (msgspec.structs.replace(condition, last_heartbeat_time=None) for condition in conditions)
    return tuple(sorted(bare, key=lambda condition: condition.type))


def _condition(kind: str, wording: _Wording, old: NodeCondition | None, now: dt.datetime) -> NodeCondition:
    same = old is not None and old.status == wording.status
    # A pressure that lasts keeps its words; why the node is not ready may change.
    if same and kind != READY and old is not None:
        return msgspec.structs.replace(old, last_heartbeat_time=now)
    return NodeCondition(
        type=kind,
        status=wording.status,
        last_heartbeat_time=now,
        last_transition_time=old.last_transition_time if same and old is not None else now,
        reason=wording.reason,
        message=wording.message,
    )


def _is_event(kind: str, wording: _Wording, old: NodeCondition | None) -> bool:
    if old is None:
        return kind != READY
    return old.status != wording.status


def _joined(problems: Iterable[str]) -> str:
    """As Go's aggregate of errors reads: one as it is, several in brackets, each once."""
    different = list(dict.fromkeys(problems))
    return different[0] if len(different) == 1 else f"[{', '.join(different)}]" if different else ""
