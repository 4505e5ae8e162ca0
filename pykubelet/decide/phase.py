"""Decide a Pod's phase from what is asked and the statuses of its containers. No I/O.

Source: core/v1 PodPhase; K/pkg/kubelet/kubelet_pods.go getPhase for the corner cases.
"""

import dataclasses
from collections.abc import Mapping

from pykubelet.decide import lookup, restart, restart_all
from pykubelet.model.actions import Kind
from pykubelet.model.container import Container
from pykubelet.model.pod import Pod
from pykubelet.model.status import ContainerStatus, Terminated

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"
TERMINAL = frozenset({SUCCEEDED, FAILED})


@dataclasses.dataclass
class _Count:
    """How many of the containers are in which condition, while they are being looked at."""

    pending_init: int = 0
    failed_init: int = 0
    pending_sidecars: int = 0
    unknown: int = 0
    running: int = 0
    waiting: int = 0
    stopped: int = 0
    stopped_for_good: int = 0
    succeeded: int = 0


def of(pod: Pod, statuses: Mapping[str, ContainerStatus], *, stopped: bool, initialized: bool) -> str:
    """The phase. `statuses` by container name (init and regular).

    `stopped`: the Pod has ended, nothing restarts whatever the policies say. `initialized`: a regular container was
    started in the current sandbox, so that a sidecar which restarts does not make the Pod pending again.
    """
    count = _Count()
    for container in pod.spec.init_containers:
        if lookup.is_sidecar(container, Kind.INIT):
            _count_sidecar(count, statuses.get(container.name))
        else:
            _count_init(count, container, pod, statuses.get(container.name))
    for container in pod.spec.containers:
        _count_regular(count, container, pod, statuses.get(container.name))
    if count.failed_init:
        return FAILED
    if count.pending_init or (count.pending_sidecars and not initialized) or count.waiting or count.unknown:
        return PENDING
    if count.running:
        return RUNNING
    if not count.stopped:
        return PENDING
    if not stopped and count.stopped != count.stopped_for_good:
        return RUNNING
    return SUCCEEDED if count.stopped == count.succeeded else FAILED


def _count_init(count: _Count, container: Container, pod: Pod, status: ContainerStatus | None) -> None:
    ended = _ended(status)
    if ended is None:
        count.pending_init += 1
    elif ended.exit_code != 0 and not _restarts(container, ended, pod):
        count.failed_init += 1


def _count_sidecar(count: _Count, status: ContainerStatus | None) -> None:
    # One that has ended counts for nothing: the regular containers decide.
    if status is None:
        count.unknown += 1
    elif status.state.running is not None:
        count.running += 1
        count.pending_sidecars += not status.started
    elif status.state.terminated is None and status.last_state.terminated is None:
        count.pending_sidecars += 1
        if status.state.waiting is not None:
            count.waiting += 1
        else:
            count.unknown += 1


def _count_regular(count: _Count, container: Container, pod: Pod, status: ContainerStatus | None) -> None:
    ended = _ended(status)
    if status is None:
        count.unknown += 1
    elif status.state.running is not None:
        count.running += 1
    elif ended is not None:
        count.stopped += 1
        count.stopped_for_good += not _restarts(container, ended, pod)
        count.succeeded += status.state.terminated is not None and ended.exit_code == 0
    elif status.state.waiting is not None:
        count.waiting += 1
    else:
        count.unknown += 1


def _restarts(container: Container, ended: Terminated, pod: Pod) -> bool:
    if ended.reason == restart_all.REASON:
        return True
    return restart.after_exit(container, ended.exit_code, pod_policy=pod.spec.restart_policy)


def _ended(status: ContainerStatus | None) -> Terminated | None:
    """How it ended, if it does not run: now, or before what it waits for."""
    if status is None or status.state.running is not None:
        return None
    if status.state.terminated is not None:
        return status.state.terminated
    return status.last_state.terminated if status.state.waiting is not None else None
