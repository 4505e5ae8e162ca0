"""Which news of a Pod can wait a moment for more that is about to follow. No I/O.

A Pod is begun, its sandbox is ready and its container runs within a fifth of a second, and a container ends a tenth of
one before its sandbox does. To tell of each apart costs the API server, and everybody who watches Pods, twice as much.
"""

import msgspec

from pykubelet.decide import conditions, phase, waiting
from pykubelet.model.pod import Pod
from pykubelet.model.status import ContainerStatus, PodStatus

PATIENCE = 1.0
"""Seconds that news which can wait is held back at most."""
_BEGINNINGS = (waiting.CREATING, waiting.INITIALIZING)


def can_wait(pod: Pod, before: PodStatus, now: PodStatus) -> bool:
    """Whether nobody misses anything if the API learns of `now` up to PATIENCE later.

    That is so for what a Pod that starts has so far: its address, its sandbox, the ids of what does not run yet; and
    for the steps of a deleted Pod to its end, unless what still runs in it is ready no more, or again. Whatever else
    runs, ends, gets ready or fails is told at once.
    """
    if pod.metadata.deletion_timestamp is not None:
        return _ready(before, now) == _ready(now, now)
    return _weighty(before) == _weighty(now)


def only_begins(told: PodStatus, now: PodStatus) -> bool:
    """Whether the API knows no more of a Pod than that it is bound, and `now` adds no more than that it is begun.

    A Pod that soon runs is then told of once, not twice.
    """
    if told.start_time is not None or now.phase != phase.PENDING or now.reason:
        return False
    states = (status.state for status in (*now.init_container_statuses, *now.container_statuses))
    return all(state.waiting is not None and state.waiting.reason in _BEGINNINGS for state in states)


def _ready(status: PodStatus, now: PodStatus) -> dict[str, bool]:
    """Which of the containers that run now are ready."""
    run = {container.name for container in now.container_statuses if container.state.running is not None}
    return {container.name: container.ready for container in status.container_statuses if container.name in run}


def _weighty(status: PodStatus) -> PodStatus:
    """The status without what can wait."""
    return msgspec.structs.replace(
        status,
        observed_generation=0,
        pod_ip="",
        pod_ips=(),
        conditions=tuple(
            msgspec.structs.replace(condition, observed_generation=0)
            for condition in status.conditions
            if condition.type != conditions.SANDBOX_READY
        ),
        init_container_statuses=tuple(map(_weighty_container, status.init_container_statuses)),
        container_statuses=tuple(map(_weighty_container, status.container_statuses)),
    )


def _weighty_container(status: ContainerStatus) -> ContainerStatus:
    if status.state.waiting is None:
        return status
    return msgspec.structs.replace(
        status, container_id="", image="", image_id="", user=None, allocated_resources={}, resources=None
    )
