"""Decide about the resources of a Pod that runs: what is granted, what its containers still have to be given. No I/O.

Source: KEP-1287. What the API asks for is granted as a whole or not at all; what was granted is what everything else
sees as the Pod's spec; each running container then follows, in place or by a restart, as its resizePolicy says.
"""

import enum
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from nodekit.objects.node import Node
from nodekit.objects.quantity import Quantity
from pykubelet.decide import admission, conditions, lookup, resources
from pykubelet.model.actions import Actuated, OpKey
from pykubelet.model.container import Container, ResourceList, ResourceRequirements
from pykubelet.model.observed import PodRuntime
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import PodState, ResizePending, ResizeReason
from pykubelet.model.status import PodCondition

WHOLE_POD = ""
"""The key of the Pod's own resources among those of its containers."""
RETRY = 10.0
"""Seconds until a deferred resize is judged again, if nothing happens before."""
_RESIZABLE = (resources.CPU, resources.MEMORY)


class Change(enum.Enum):
    NONE = "none"
    UPDATE = "update"
    RESTART = "restart"


def resources_of(pod: Pod) -> dict[str, ResourceRequirements]:
    """What a Pod asks for, by container name."""
    found = {c.name: c.resources for c in (*pod.spec.init_containers, *pod.spec.containers)}
    found[WHOLE_POD] = pod.spec.resources or ResourceRequirements()
    return found


def recalled(pod: Pod) -> dict[str, ResourceRequirements]:
    """What a Pod was granted before this kubelet started, as its status tells, or else what it asks for."""
    found = resources_of(pod)
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        if status.container_id and status.resources is not None and status.name in found:
            requests = status.allocated_resources or status.resources.requests
            found[status.name] = _told(found[status.name], requests, status.resources.limits)
    found[WHOLE_POD] = _whole_told(pod, follows=False)
    return found


def adopted(asked: Pod, granted: Pod, seen: PodRuntime | None) -> dict[str, Actuated]:
    """What containers that run already when this kubelet first looks have: what their status tells of this very one.

    A container that no status tells of has what was granted.
    """
    own, whole = resources_of(granted), None
    if asked.spec.resources is not None:
        whole = _whole_told(asked, follows=True)
    statuses = {s.name: s for s in (*asked.status.init_container_statuses, *asked.status.container_statuses)}
    found = {}
    for running in lookup.running(seen) if seen is not None else ():
        if running.name not in own:
            continue
        have, status = own[running.name], statuses.get(running.name)
        # One that was started after the last report may have been given more than its predecessor had.
        if status and status.resources is not None and status.container_id.endswith(f"//{running.id}"):
            requests = status.resources.requests
            if not _was_following(asked):
                # Not the shares of the CPU that the genuine kubelet reads back from the runtime, which may be rounded.
                requests = status.allocated_resources or requests
            have = _told(resources_of(asked)[running.name], requests, status.resources.limits)
        found[running.name] = Actuated(have, whole)
    return found


def granted(pod: Pod, grants: Mapping[str, ResourceRequirements]) -> Pod:
    """The Pod as it was granted: its spec with those resources."""
    if not is_asked(pod, grants):
        return pod
    spec = msgspec.structs.replace(
        pod.spec,
        containers=tuple(_with(container, grants) for container in pod.spec.containers),
        init_containers=tuple(_with(container, grants) for container in pod.spec.init_containers),
        resources=grants.get(WHOLE_POD) if pod.spec.resources is not None else None,
    )
    return msgspec.structs.replace(pod, spec=spec)


def is_asked(pod: Pod, grants: Mapping[str, ResourceRequirements]) -> bool:
    """Whether the Pod asks for other CPU or memory than it was granted."""
    return any(_differ(wanted, grants.get(name, wanted)) for name, wanted in resources_of(pod).items())


def requested(before: Pod, after: Pod) -> Iterator[tuple[str, str, str]]:
    """What somebody asks to be changed, for the count of it: resource, `requests` or `limits`, and how."""
    if before.spec is after.spec:
        return
    old, new = resources_of(before), resources_of(after)
    for container in (*(c for c in after.spec.init_containers if resources.is_sidecar(c)), *after.spec.containers):
        was, asked = old.get(container.name, ResourceRequirements()), new[container.name]
        for resource in _changed(was, asked):
            for kind, a, b in zip(
                ("requests", "limits"), _amounts(was, resource), _amounts(asked, resource), strict=True
            ):
                if how := _how(a or resources.ZERO, b or resources.ZERO):
                    yield resource, kind, how


def judge(pod: Pod, node: Node, others: Iterable[Pod]) -> ResizePending | None:
    """Why the resources the Pod asks for cannot be granted now; None if they can. `others` without this Pod."""
    shortage = next(iter(admission.lacking(pod, node, tuple(others))), None)
    if shortage is None:
        return None
    return ResizePending(ResizeReason.DEFERRED, shortage.message, pod.metadata.generation)


def wanted(pod: Pod, container: Container) -> Actuated:
    """What a container of this Pod, as it was granted, is to run with."""
    return Actuated(container.resources, pod.spec.resources)


def change(state: PodState, container: Container) -> Change:
    """What a running container needs to get what was granted."""
    target = wanted(state.pod, container)
    have = state.actuated.get(container.name, target)
    changed = set(_changed(have.own, target.own))
    if not changed:
        return Change.UPDATE if _differ(_whole(have), _whole(target)) else Change.NONE
    restarting = {p.resource_name for p in container.resize_policy if p.restart_policy == "RestartContainer"}
    return Change.RESTART if restarting & changed else Change.UPDATE


def lowered_memory_limit(have: Actuated | None, to: Actuated) -> int | None:
    """The memory limit (bytes) a container gets, if that is less than it has; None if it is not."""
    new = _memory_limit(to)
    old = _memory_limit(have) if have is not None else new
    return new if new is not None and (old is None or new < old) else None


def is_under_way(state: PodState) -> bool:
    """Whether a running container does not have yet what was granted."""
    running = {seen.name for seen in lookup.running(state.seen)}
    return any(
        container.name in running and change(state, container) is not Change.NONE
        for container in (*state.pod.spec.init_containers, *state.pod.spec.containers)
    )


def shown(state: PodState, container: Container) -> ResourceRequirements:
    """The resources in a running container's status: what it has of CPU and memory, all else as granted."""
    have = state.actuated.get(container.name, wanted(state.pod, container)).own
    return ResourceRequirements(
        requests={**_others(container.resources.requests), **_ours(have.requests)},
        limits={**_others(container.resources.limits), **_ours(have.limits)},
    )


def shown_of_pod(state: PodState) -> ResourceRequirements | None:
    """The resources in the Pod's own status, if it asks for any as a whole."""
    if state.pod.spec.resources is None:
        return None
    running = {seen.name for seen in lookup.running(state.seen)}
    behind = (have.whole for name, have in state.actuated.items() if name in running)
    return next((whole for whole in behind if whole is not None), state.pod.spec.resources)


def conditions_of(state: PodState) -> Iterator[PodCondition]:
    """What the Pod's status says of a resize that is asked for or under way."""
    pending = state.resize_pending
    if pending is not None:
        yield PodCondition(
            type=conditions.RESIZE_PENDING,
            status="True",
            observed_generation=pending.generation,
            reason=pending.reason.value,
            message=pending.message,
        )
    if is_under_way(state):
        failures = (
            state.failures.get(OpKey(f"resize/{container.name}"))
            for container in (*state.pod.spec.init_containers, *state.pod.spec.containers)
        )
        failure = next((one for one in failures if one is not None), None)
        yield PodCondition(
            type=conditions.RESIZE_IN_PROGRESS,
            status="True",
            observed_generation=state.pod.metadata.generation,
            reason="Error" if failure else "",
            message=failure.message if failure else "",
        )


def _was_following(pod: Pod) -> bool:
    """Whether the last status told that a resize was granted, and not every container had it."""
    return any(one.type == conditions.RESIZE_IN_PROGRESS and one.status == "True" for one in pod.status.conditions)


def _whole_told(pod: Pod, *, follows: bool) -> ResourceRequirements:
    """The Pod's own resources as its status tells: those it was granted, or if it `follows` a grant, those it has."""
    asked, status = pod.spec.resources or ResourceRequirements(), pod.status
    # With an overhead the genuine kubelet's status has that too.
    if status.resources is None or pod.spec.overhead:
        return asked
    following = follows and _was_following(pod)
    requests = status.resources.requests if following else status.allocated_resources or status.resources.requests
    return _told(asked, requests, status.resources.limits)


def _told(asked: ResourceRequirements, requests: ResourceList, limits: ResourceList) -> ResourceRequirements:
    """What was told of those resources that are asked for: no other can have been given, as none can be taken away.

    The genuine kubelet tells of others too: a container that inherits its Pod's limit shows it as its own.
    """
    return msgspec.structs.replace(
        asked,
        requests={name: amount for name, amount in requests.items() if name in asked.requests},
        limits={name: amount for name, amount in limits.items() if name in asked.limits},
    )


def _whole(have: Actuated) -> ResourceRequirements:
    return have.whole or ResourceRequirements()


def _memory_limit(have: Actuated) -> int | None:
    for asked in (have.own, _whole(have)):
        limit = resources.amounts(asked.limits).get(resources.MEMORY)
        if limit:
            return limit.value
    return None


def _with(container: Container, grants: Mapping[str, ResourceRequirements]) -> Container:
    return msgspec.structs.replace(container, resources=grants.get(container.name, container.resources))


def _changed(have: ResourceRequirements, wanted: ResourceRequirements) -> Iterator[str]:
    # Nearly always they are written alike: nothing needs to be read then.
    if have == wanted:
        return
    for name in _RESIZABLE:
        if _amounts(have, name) != _amounts(wanted, name):
            yield name


def _differ(have: ResourceRequirements, wanted: ResourceRequirements) -> bool:
    return have is not wanted and any(True for _ in _changed(have, wanted))


def _amounts(asked: ResourceRequirements, name: str) -> tuple[Quantity | None, Quantity | None]:
    return resources.amounts(asked.requests).get(name), resources.amounts(asked.limits).get(name)


def _how(before: Quantity, after: Quantity) -> str:
    if before == after:
        return ""
    if not before or not after:
        return "add" if after else "remove"
    return "increase" if before < after else "decrease"


def _ours(amounts: Mapping[str, str]) -> dict[str, str]:
    return {name: amount for name, amount in amounts.items() if name in _RESIZABLE}


def _others(amounts: Mapping[str, str]) -> dict[str, str]:
    return {name: amount for name, amount in amounts.items() if name not in _RESIZABLE}
