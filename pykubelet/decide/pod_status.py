"""Decide what is reported of a Pod. No I/O.

Source: core/v1 PodStatus; K/pkg/kubelet/kubelet_pods.go generateAPIPodStatus, K/pkg/kubelet/status/status_manager.go.
"""

import dataclasses

import msgspec

from nodekit.objects import times
from pykubelet.decide import (
    conditions,
    container_status,
    lookup,
    pod_actions,
    preemption,
    qos,
    resize,
    resources,
    restart_all,
    sandboxes,
    termination,
)
from pykubelet.decide import phase as phases
from pykubelet.model.actions import Kind
from pykubelet.model.container import Container
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Ending, EndingCause, PodState
from pykubelet.model.status import IP, ContainerState, ContainerStatus, PodCondition, PodStatus, Terminated

_PROTECTS_NODE = frozenset({EndingCause.EVICTED, EndingCause.PREEMPTED, EndingCause.NODE_SHUTDOWN})


@dataclasses.dataclass(frozen=True, slots=True)
class StatusContext:
    """What a status depends on besides the Pod's state.

    `previous` is what was last reported, or what the API has if nothing was since the kubelet started. `host_ips` are
    the node's addresses, the primary first.
    """

    previous: PodStatus
    host_ips: tuple[str, ...] = ()
    runtime: container_status.Runtime = dataclasses.field(default_factory=container_status.Runtime)


def of(state: PodState, context: StatusContext, *, now: float) -> PodStatus:
    """The whole status of a Pod as it is now (`now` in epoch seconds)."""
    pod, previous = state.pod, context.previous
    if state.ending is not None and state.ending.cause is EndingCause.REJECTED:
        return _of_rejected(pod, state.ending, context, now)
    over = _is_over(state)
    init = _statuses(state, context, Kind.INIT, now)
    regular = _statuses(state, context, Kind.REGULAR, now)
    if over:
        init, regular = _all_ended(pod, init, regular)
    by_name = {status.name: status for status in (*init, *regular)}
    usable = sandboxes.current(pod, state.seen)
    initialized = any(c.sandbox_id == usable.id and _is_regular(pod, c.name) for c in state.seen.containers)
    phase = phases.of(pod, by_name, stopped=over, initialized=initialized)
    phase, reason, message = _settled(state, phase, previous, over=over)
    others = [condition for condition in pod.status.conditions if condition.type not in conditions.OURS]
    before = [*previous.conditions, *others]
    ours = list(conditions.of(pod, by_name, now_phase=phase, before=before, sandbox_problem=usable.problem))
    if restart_all.may_happen(pod):
        ours.append(conditions.restarting(pod, phase, under_way=bool(restart_all.sources(state))))
    if phase in phases.TERMINAL and state.ending is not None and state.ending.cause in _PROTECTS_NODE:
        others = [condition for condition in others if condition.type != conditions.DISRUPTION_TARGET]
        preempted = state.ending.cause is EndingCause.PREEMPTED
        why = preemption.DISRUPTION if preempted else state.ending.message
        ours.append(conditions.disruption_target(pod, why))
    if not over:
        ours = [*resize.conditions_of(state), *ours]
    at = times.of(now)
    pod_ips = _pod_ips(state, context)
    return PodStatus(
        observed_generation=max(pod.metadata.generation, previous.observed_generation),
        phase=phase,
        conditions=(*others, *conditions.with_transition_times(ours, previous.conditions, now=at)),
        message=message,
        reason=reason,
        nominated_node_name=pod.status.nominated_node_name,
        host_ip=context.host_ips[0] if context.host_ips else "",
        host_ips=tuple(IP(ip=ip) for ip in context.host_ips[:2]),
        pod_ip=pod_ips[0] if pod_ips else "",
        pod_ips=tuple(IP(ip=ip) for ip in pod_ips),
        start_time=previous.start_time or pod.status.start_time or at,
        init_container_statuses=init,
        container_statuses=tuple(sorted(regular, key=lambda status: status.name)),
        ephemeral_container_statuses=tuple(
            sorted(_statuses(state, context, Kind.EPHEMERAL, now), key=lambda status: status.name)
        ),
        qos_class=qos.of(pod),
        resource_claim_statuses=pod.status.resource_claim_statuses,
        allocated_resources={name: str(amount) for name, amount in resources.pod_requests(pod).items()},
        resources=resize.shown_of_pod(state),
    )


def _statuses(state: PodState, context: StatusContext, kind: Kind, now: float) -> tuple[ContainerStatus, ...]:
    spec, previous = state.pod.spec, context.previous
    asked: tuple[Container, ...]
    match kind:
        case Kind.INIT:
            asked, old = spec.init_containers, previous.init_container_statuses
        case Kind.REGULAR:
            asked, old = spec.containers, previous.container_statuses
        case Kind.EPHEMERAL:
            asked, old = spec.ephemeral_containers, previous.ephemeral_container_statuses
    before = {status.name: status for status in old}
    return tuple(
        container_status.of(state, (container, kind), before.get(container.name), context.runtime, now=now)
        for container in asked
    )


def _is_over(state: PodState) -> bool:
    """Whether the Pod has ended and nothing of it runs: only then may its phase become terminal."""
    ended = state.ending is not None or pod_actions.is_done(state)
    return ended and termination.nothing_runs(state)


def _settled(state: PodState, phase: str, previous: PodStatus, *, over: bool) -> tuple[str, str, str]:
    """The phase to report, with its reason and message: terminal only when over, and then for ever."""
    told = state.pod.status
    for before in (previous, told):
        if before.phase in phases.TERMINAL:
            return before.phase, before.reason or told.reason, before.message or told.message
    ending = state.ending
    if over:
        if ending is not None and ending.cause is not EndingCause.DELETED:
            return phases.FAILED, ending.reason, ending.message
        phase = phase if phase in phases.TERMINAL else phases.FAILED
    elif phase in phases.TERMINAL:
        phase = previous.phase or told.phase or phases.RUNNING
    if phase == previous.phase:
        return phase, previous.reason or told.reason, previous.message or told.message
    return phase, "", ""


def _all_ended(
    pod: Pod, init: tuple[ContainerStatus, ...], regular: tuple[ContainerStatus, ...]
) -> tuple[tuple[ContainerStatus, ...], tuple[ContainerStatus, ...]]:
    """Once a Pod is over no container that had its turn may look as if it might still run."""
    began = [index for index, status in enumerate(init) if _has_begun(status)]
    turned = began[-1] + 1 if began else min(1, len(init))
    ended_init = tuple(_ended(status) if index < turned else status for index, status in enumerate(init))
    return ended_init, tuple(map(_ended, regular)) if _has_initialized(pod, init, regular) else regular


def _has_initialized(pod: Pod, init: tuple[ContainerStatus, ...], regular: tuple[ContainerStatus, ...]) -> bool:
    if not init or any(_has_begun(status) for status in regular):
        return True
    last = init[-1]
    if lookup.is_sidecar(pod.spec.init_containers[-1], Kind.INIT):
        return bool(last.started)
    ended = last.state.terminated or last.last_state.terminated
    return ended is not None and ended.exit_code == 0


def _has_begun(status: ContainerStatus) -> bool:
    return status.state.waiting is None or status.last_state.terminated is not None


def _ended(status: ContainerStatus) -> ContainerStatus:
    if status.state.terminated is not None:
        return status
    lost = Terminated(
        exit_code=container_status.LOST_EXIT_CODE,
        reason=container_status.STATUS_UNKNOWN,
        message=container_status.LOST_WHEN_STOPPED,
    )
    return msgspec.structs.replace(status, state=ContainerState(terminated=lost), ready=False, started=False)


def _pod_ips(state: PodState, context: StatusContext) -> tuple[str, ...]:
    if state.pod.spec.host_network:
        return context.host_ips[:2]
    current = sandboxes.current(state.pod, state.seen).usable
    if current is not None and current.ips:
        return _preferring(current.ips, context.host_ips)
    # A Pod keeps showing the address it had.
    return tuple(ip.ip for ip in context.previous.pod_ips)


def _preferring(ips: tuple[str, ...], host_ips: tuple[str, ...]) -> tuple[str, ...]:
    """At most one address of each family, that of the node's primary address first."""
    by_family: dict[bool, str] = {}
    for ip in ips:
        by_family.setdefault(":" in ip, ip)
    first = ":" in host_ips[0] if host_ips else ":" in ips[0]
    return tuple(by_family[family] for family in (first, not first) if family in by_family)


def _of_rejected(pod: Pod, ending: Ending, context: StatusContext, now: float) -> PodStatus:
    return PodStatus(
        observed_generation=max(pod.metadata.generation, context.previous.observed_generation),
        phase=phases.FAILED,
        conditions=_all_conditions(context.previous, pod),
        message=ending.message,
        reason=ending.reason,
        start_time=context.previous.start_time or pod.status.start_time or times.of(now),
        qos_class=qos.of(pod),
        resource_claim_statuses=pod.status.resource_claim_statuses,
    )


def _all_conditions(previous: PodStatus, pod: Pod) -> tuple[PodCondition, ...]:
    found: dict[str, PodCondition] = {condition.type: condition for condition in pod.status.conditions}
    return tuple(found.values()) or previous.conditions


def _is_regular(pod: Pod, name: str) -> bool:
    return any(container.name == name for container in pod.spec.containers)
