"""Decide the conditions a kubelet owns: Initialized, ContainersReady, Ready and the sandbox's. No I/O.

Source: core/v1 PodConditionType; reasons and messages as K/pkg/kubelet/status/generate.go words them.
"""

import datetime as dt
from collections.abc import Iterable, Mapping

import msgspec

from pykubelet.decide import lookup, phase
from pykubelet.model.actions import Kind
from pykubelet.model.container import Container
from pykubelet.model.pod import Pod
from pykubelet.model.status import ContainerStatus, PodCondition

SCHEDULED = "PodScheduled"
SANDBOX_READY = "PodReadyToStartContainers"
INITIALIZED = "Initialized"
READY = "Ready"
CONTAINERS_READY = "ContainersReady"
DISRUPTION_TARGET = "DisruptionTarget"
RESIZE_PENDING = "PodResizePending"
RESIZE_IN_PROGRESS = "PodResizeInProgress"
RESTARTING = "AllContainersRestarting"

OURS = frozenset(
    {SCHEDULED, SANDBOX_READY, INITIALIZED, READY, CONTAINERS_READY, RESIZE_PENDING, RESIZE_IN_PROGRESS, RESTARTING}
)
"""Whatever else stands in a Pod's conditions belongs to somebody else and stays as it is."""


def of(
    pod: Pod,
    statuses: Mapping[str, ContainerStatus],
    *,
    now_phase: str,
    before: Iterable[PodCondition],
    sandbox_problem: str,
) -> tuple[PodCondition, ...]:
    """The conditions of ours, without transition times. `statuses` by container name (init and regular).

    `before` are the Pod's conditions as last reported, those that readiness gates name among them.
    `sandbox_problem` is empty if there is a usable sandbox.
    """
    found = {condition.type: condition.status for condition in before}
    containers_ready = _containers_ready(pod, statuses, now_phase)
    return tuple(
        PodCondition(
            type=one.type,
            status=one.status,
            observed_generation=pod.metadata.generation,
            reason=one.reason,
            message=one.message,
        )
        for one in (
            _false(SANDBOX_READY, "PodSandboxNotReady", sandbox_problem) if sandbox_problem else _true(SANDBOX_READY),
            _initialized(pod, statuses, now_phase, was=found.get(INITIALIZED) == "True"),
            _ready(pod, containers_ready, found),
            containers_ready,
            _true(SCHEDULED),
        )
    )


def with_transition_times(
    conditions: Iterable[PodCondition], previous: Iterable[PodCondition], *, now: dt.datetime
) -> tuple[PodCondition, ...]:
    """Each condition with the time its status last changed."""
    before = {condition.type: condition for condition in previous}
    return tuple(_timed(condition, before.get(condition.type), now) for condition in conditions)


def restarting(pod: Pod, now_phase: str, *, under_way: bool) -> PodCondition:
    """The condition of a Pod whose containers may all be started over at once."""
    if now_phase in phase.TERMINAL:
        one = _false(RESTARTING, "PodCompleted" if now_phase == phase.SUCCEEDED else "PodFailed")
    elif under_way:
        one = PodCondition(
            type=RESTARTING,
            status="True",
            reason="RestartAllContainersStarted",
            message="container exited with restart policy rule",
        )
    else:
        one = _false(RESTARTING, "")
    return msgspec.structs.replace(one, observed_generation=pod.metadata.generation)


def disruption_target(pod: Pod, message: str) -> PodCondition:
    """The condition of a Pod that this kubelet ends to protect the node."""
    return PodCondition(
        type=DISRUPTION_TARGET,
        status="True",
        observed_generation=pod.metadata.generation,
        reason="TerminationByKubelet",
        message=message,
    )


def _timed(condition: PodCondition, before: PodCondition | None, now: dt.datetime) -> PodCondition:
    unchanged = before is not None and before.status == condition.status and before.last_transition_time is not None
    return PodCondition(
        type=condition.type,
        status=condition.status,
        observed_generation=condition.observed_generation,
        last_transition_time=before.last_transition_time if before is not None and unchanged else now,
        reason=condition.reason,
        message=condition.message,
    )


def _containers_ready(pod: Pod, statuses: Mapping[str, ContainerStatus], now_phase: str) -> PodCondition:
    kept = [c for c in pod.spec.init_containers if lookup.is_sidecar(c, Kind.INIT)] + list(pod.spec.containers)
    unknown = [c.name for c in kept if c.name not in statuses]
    unready = [c.name for c in kept if c.name in statuses and not statuses[c.name].ready]
    if now_phase == phase.SUCCEEDED and not unknown:
        return _false(CONTAINERS_READY, "PodCompleted")
    if now_phase == phase.FAILED:
        return _false(CONTAINERS_READY, "PodFailed")
    message = _name_them(unknown, "unknown") + _name_them(unready, "unready")
    return _false(CONTAINERS_READY, "ContainersNotReady", ", ".join(message)) if message else _true(CONTAINERS_READY)


def _ready(pod: Pod, containers_ready: PodCondition, found: Mapping[str, str]) -> PodCondition:
    if containers_ready.status != "True":
        return _false(READY, containers_ready.reason, containers_ready.message)
    unmet = [
        f'the status of pod readiness gate "{gate}" is not "True", but {found[gate]}'
        if gate in found
        else f'corresponding condition of pod readiness gate "{gate}" does not exist.'
        for gate in (asked.condition_type for asked in pod.spec.readiness_gates)
        if found.get(gate) != "True"
    ]
    return _false(READY, "ReadinessGatesNotReady", ", ".join(unmet)) if unmet else _true(READY)


def _initialized(pod: Pod, statuses: Mapping[str, ContainerStatus], now_phase: str, *, was: bool) -> PodCondition:
    init = pod.spec.init_containers
    unknown = [c.name for c in init if c.name not in statuses]
    incomplete = [c.name for c in init if c.name in statuses and not _is_initialized(c, statuses[c.name])]
    if now_phase == phase.SUCCEEDED and not unknown:
        return PodCondition(type=INITIALIZED, status="True", reason="PodCompleted")
    # Once it was initialised it stays so, though init containers may run again.
    if was or any(_has_run(statuses.get(container.name)) for container in pod.spec.containers):
        return _true(INITIALIZED)
    message = _name_them(unknown, "unknown") + _name_them(incomplete, "incomplete")
    return _false(INITIALIZED, "ContainersNotInitialized", ", ".join(message)) if message else _true(INITIALIZED)


def _is_initialized(container: Container, status: ContainerStatus) -> bool:
    return bool(status.started) if lookup.is_sidecar(container, Kind.INIT) else status.ready


def _has_run(status: ContainerStatus | None) -> bool:
    return status is not None and (status.state.running is not None or status.state.terminated is not None)


def _name_them(names: list[str], status: str) -> list[str]:
    return [f"containers with {status} status: [{' '.join(names)}]"] if names else []


def _true(type_: str) -> PodCondition:
    return PodCondition(type=type_, status="True")


def _false(type_: str, reason: str, message: str = "") -> PodCondition:
    return PodCondition(type=type_, status="False", reason=reason, message=message)
