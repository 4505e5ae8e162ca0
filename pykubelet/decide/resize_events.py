"""What has only now happened to a resize in place, so that people are told of it. No I/O.

Source: K/pkg/kubelet/events/resize.go, and where its messages are used: K/pkg/kubelet/{kubelet,allocation}.
"""

import dataclasses
from collections.abc import Iterator
from typing import Final

import msgspec

from pykubelet.decide import conditions, go_json
from pykubelet.model.container import Container, ResourceList, ResourceRequirements
from pykubelet.model.pod import Pod
from pykubelet.model.status import PodCondition, PodStatus

_ERROR: Final = "Error"


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """An event about a Pod; `type` is Normal or Warning."""

    type: str
    reason: str
    message: str


class _Resources(msgspec.Struct, frozen=True, omit_defaults=True):
    limits: ResourceList = {}
    requests: ResourceList = {}


class _Container(msgspec.Struct, frozen=True):
    name: str
    resources: _Resources


class _Summary(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    init_containers: tuple[_Container, ...] = ()
    containers: tuple[_Container, ...] = ()
    generation: int | None = None
    error: str = ""


def of(asked: Pod, granted: Pod, before: PodStatus, now: PodStatus, *, newly: bool) -> Iterator[Event]:
    """Of a Pod that runs: as it is asked for and as it was granted, which it `newly` was, and its last two statuses."""
    waited, waits = (_condition(status, conditions.RESIZE_PENDING) for status in (before, now))
    was_followed, followed = (_condition(status, conditions.RESIZE_IN_PROGRESS) for status in (before, now))
    if waits is not None and (waited is None or _what(waits) != _what(waited)):
        said = _message(f"Pod resize {waits.reason}", asked, waits.observed_generation, error=waits.message)
        yield Event("Warning", f"Resize{waits.reason}", said)
    generation = asked.metadata.generation
    if newly:
        yield Event("Normal", "ResizeStarted", _message("Pod resize started", granted, generation))
    if followed is not None and followed.reason == _ERROR and _error(followed) != _error(was_followed):
        said = _message("Pod resize error", granted, followed.observed_generation, error=followed.message)
        yield Event("Warning", "ResizeError", said)
    if followed is None and (newly or was_followed is not None):
        if was_followed is not None and not newly:
            generation = was_followed.observed_generation
        yield Event("Normal", "ResizeCompleted", _message("Pod resize completed", granted, generation))


def _condition(status: PodStatus, type_: str) -> PodCondition | None:
    return next((one for one in status.conditions if one.type == type_ and one.status == "True"), None)


def _what(waits: PodCondition) -> tuple[str, int]:
    return waits.reason, waits.observed_generation


def _error(followed: PodCondition | None) -> str | None:
    return followed.message if followed is not None and followed.reason == _ERROR else None


def _message(said: str, pod: Pod, generation: int, *, error: str = "") -> str:
    summary = _Summary(
        init_containers=tuple(map(_shown, pod.spec.init_containers)),
        containers=tuple(map(_shown, pod.spec.containers)),
        generation=generation,
        error=error,
    )
    return f"{said}: {go_json.encode(summary).decode()}"


def _shown(container: Container) -> _Container:
    own: ResourceRequirements = container.resources
    return _Container(container.name, _Resources(limits=_sorted(own.limits), requests=_sorted(own.requests)))


def _sorted(amounts: ResourceList) -> ResourceList:
    return dict(sorted(amounts.items()))
