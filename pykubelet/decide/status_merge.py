"""Decide what to write of a Pod's status, given what the API has: never take back what was told. No I/O.

Source: mergePodStatus and checkContainerStateTransition in K/pkg/kubelet/status/status_manager.go.
"""

from collections.abc import Mapping

import msgspec

from pykubelet.decide import conditions, phase, restart, restart_all
from pykubelet.model.container import Container
from pykubelet.model.pod import Pod
from pykubelet.model.status import ContainerStatus, PodCondition, PodStatus


def of(pod: Pod, wanted: PodStatus, told: PodStatus) -> PodStatus:
    """The status to write: `wanted`, with what others own and what cannot be undone taken from `told`."""
    ended = told.phase in phase.TERMINAL
    return msgspec.structs.replace(
        wanted,
        observed_generation=max(wanted.observed_generation, told.observed_generation),
        phase=told.phase if ended else wanted.phase,
        reason=(told.reason if ended else "") or wanted.reason,
        message=(told.message if ended else "") or wanted.message,
        conditions=_conditions(wanted, told),
        container_statuses=_containers(pod, wanted, told),
        nominated_node_name=told.nominated_node_name,
        start_time=told.start_time or wanted.start_time,
        resource_claim_statuses=told.resource_claim_statuses,
    )


def _conditions(wanted: PodStatus, told: PodStatus) -> tuple[PodCondition, ...]:
    before = {condition.type: condition for condition in told.conditions}
    ending = told.phase not in phase.TERMINAL and wanted.phase in phase.TERMINAL
    ours: list[PodCondition] = []
    replaced = set(conditions.OURS)
    for condition in wanted.conditions:
        shared = condition.type == conditions.DISRUPTION_TARGET and ending
        if condition.type in conditions.OURS or shared:
            ours.append(_timed(condition, before.get(condition.type)))
            replaced.add(condition.type)
    return (*(condition for condition in told.conditions if condition.type not in replaced), *ours)


def _timed(condition: PodCondition, before: PodCondition | None) -> PodCondition:
    """With the time its status last changed, as the API knows it."""
    if before is None or before.status != condition.status or before.last_transition_time is None:
        return condition
    return msgspec.structs.replace(condition, last_transition_time=before.last_transition_time)


def _containers(pod: Pod, wanted: PodStatus, told: PodStatus) -> tuple[ContainerStatus, ...]:
    before = {status.name: status for status in told.container_statuses}
    asked = {container.name: container for container in pod.spec.containers}
    return tuple(
        before[status.name] if _goes_back(pod, asked, before.get(status.name), status) else status
        for status in wanted.container_statuses
    )


def _goes_back(
    pod: Pod, asked: Mapping[str, Container], before: ContainerStatus | None, status: ContainerStatus
) -> bool:
    """Whether a container that has ended for good would seem to be alive again."""
    if before is None or before.state.terminated is None or status.state.terminated is not None:
        return False
    container = asked.get(status.name)
    if container is None or container.restart_policy_rules or restart_all.may_happen(pod):
        return False
    return not restart.after_exit(container, before.state.terminated.exit_code, pod_policy=pod.spec.restart_policy)
