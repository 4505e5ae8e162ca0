"""Which containers have only now come to be held back, so that people are told of it. No I/O."""

import dataclasses
from collections.abc import Iterator

from pykubelet.decide import waiting
from pykubelet.model.pod import Pod
from pykubelet.model.status import ContainerStatus, PodStatus


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """An event about one container; `type` is Normal or Warning."""

    container: str
    type: str
    reason: str
    message: str


def of(pod: Pod, before: PodStatus | None, now: PodStatus) -> Iterator[Event]:
    """Those whose waiting state says so now, and did not say so for the same restart before."""
    earlier = {status.name: status for status in _containers(before)} if before is not None else {}
    images = {c.name: c.image for c in (*pod.spec.init_containers, *pod.spec.containers)}
    for status in _containers(now):
        held = _held(status)
        if held is None or held == _held(earlier.get(status.name)):
            continue
        if held[0] == waiting.CRASH_LOOP:
            meta = pod.metadata
            where = f"{meta.name}_{meta.namespace}({meta.uid})"
            message = f"Back-off restarting failed container {status.name} in pod {where}"
            yield Event(status.name, "Warning", "BackOff", message)
        else:
            message = f'Back-off pulling image "{images.get(status.name, "")}"'
            yield Event(status.name, "Normal", "BackOff", message)
            yield Event(status.name, "Warning", "Failed", f"Error: {waiting.PULL_BACKOFF}")


def _containers(status: PodStatus) -> tuple[ContainerStatus, ...]:
    return (*status.init_container_statuses, *status.container_statuses)


def _held(status: ContainerStatus | None) -> tuple[str, int] | None:
    held = status.state.waiting if status is not None else None
    if status is None or held is None or held.reason not in (waiting.CRASH_LOOP, waiting.PULL_BACKOFF):
        return None
    return held.reason, status.restart_count
