"""Which news of a Pod can wait a moment for more that is about to follow. No I/O.

A sandbox is ready a tenth of a second before its container runs, and a container ends as long before its sandbox does.
To tell of each apart costs the API server, and everybody who watches Pods, twice as much.
"""

import msgspec

from pykubelet.decide import conditions
from pykubelet.model.pod import Pod
from pykubelet.model.status import ContainerStatus, PodStatus

PATIENCE = 1.0
"""Seconds that news which can wait is held back at most."""


def can_wait(pod: Pod, before: PodStatus, now: PodStatus) -> bool:
    """Whether nobody misses anything if the API learns of `now` up to PATIENCE later.

    That is so for what a Pod that starts has so far: its address, its sandbox, the ids of what does not run yet; and
    for the steps of a deleted Pod to its end, unless what still runs in it is ready no more, or again. Whatever else
    runs, ends, gets ready or fails is told at once.
    """
    if pod.metadata.deletion_timestamp is not None:
        return _ready(before, now) == _ready(now, now)
    return _weighty(before) == _weighty(now)


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
