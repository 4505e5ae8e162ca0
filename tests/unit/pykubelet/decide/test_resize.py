"""The resources of a Pod that runs: granted, followed, shown."""

import dataclasses

import msgspec
import pytest

from nodekit.objects import quantity
from nodekit.objects.meta import ObjectMeta
from nodekit.objects.node import Node, NodeStatus
from pykubelet.decide import pod_actions, pod_status, resize
from pykubelet.model.actions import Actuated, OpKey, ResizeContainer, StopContainer, StopReason
from pykubelet.model.container import Container, ResizePolicy, ResourceRequirements
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.model.observed import Container as Seen
from pykubelet.model.observed import ContainerState, PodRuntime, Sandbox, SandboxState
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.pod_state import Failure, PodState, ResizePending, ResizeReason
from pykubelet.model.status import ContainerState as Shown
from pykubelet.model.status import ContainerStatus, PodCondition, PodStatus

NOW = 1000.0
UID = Uid("u")
SANDBOX = Sandbox(SandboxId("s"), UID, "ns", "pod", 0, SandboxState.READY, 1.0, detailed=True, ips=("10.0.0.1",))
SEEN = Seen(ContainerId("a-0"), "a", 0, UID, SANDBOX.id, ContainerState.RUNNING, 2.0, detailed=True, started_at=2.0)
BIG = ResourceRequirements(requests={"cpu": "200m", "memory": "64Mi"}, limits={"cpu": "400m"})
SMALL = ResourceRequirements(requests={"cpu": "0.1", "memory": "64Mi"}, limits={"cpu": "400m"})


def pod(wanted: ResourceRequirements, *policies: ResizePolicy) -> Pod:
    container = Container(name="a", image="i:1", resources=wanted, resize_policy=policies)
    return Pod(
        metadata=ObjectMeta(name="pod", namespace="ns", uid=UID, generation=2), spec=PodSpec(containers=(container,))
    )


def state(of: Pod, **fields: object) -> PodState:
    return PodState(
        **{"pod": of, "seen": PodRuntime(UID, "ns", "pod", (SANDBOX,), (SEEN,)), "volumes_ready": True, **fields}
    )


def condition_types(given: PodState) -> dict[str, str]:
    status = pod_status.of(given, pod_status.StatusContext(PodStatus()), now=NOW)
    return {one.type: one.reason for one in status.conditions if "Resize" in one.type}


def test_a_running_container_is_given_what_was_granted() -> None:
    given = state(pod(BIG), actuated={"a": Actuated(SMALL)})
    assert pod_actions.of(given, now=NOW).actions == (ResizeContainer(SEEN.id, "a", Actuated(BIG)),)


@pytest.mark.parametrize(
    "have",
    [
        pytest.param({}, id="never resized"),
        pytest.param(
            {"a": Actuated(msgspec.structs.replace(BIG, requests={"cpu": "0.2", "memory": "65536Ki"}))},
            id="said otherwise",
        ),
    ],
)
def test_nothing_is_done_for_a_container_that_has_it(have: dict[str, Actuated]) -> None:
    assert pod_actions.of(state(pod(BIG), actuated=have), now=NOW).actions == ()


@pytest.mark.parametrize(
    ("resource", "restarts"),
    [
        pytest.param("cpu", True, id="the resource that changes needs a restart"),
        pytest.param("memory", False, id="only another resource does"),
    ],
)
def test_a_resize_policy_may_ask_for_a_restart(resource: str, restarts: bool) -> None:
    policy = ResizePolicy(resource_name=resource, restart_policy="RestartContainer")
    (action,) = pod_actions.of(state(pod(BIG, policy), actuated={"a": Actuated(SMALL)}), now=NOW).actions
    if restarts:
        assert isinstance(action, StopContainer)
        assert (action.reason, action.message) == (StopReason.CHANGED, "Container a resize requires restart")
    else:
        assert isinstance(action, ResizeContainer)


def test_a_pod_level_change_is_given_to_every_container() -> None:
    asked = pod(BIG)
    asked = msgspec.structs.replace(asked, spec=msgspec.structs.replace(asked.spec, resources=BIG))
    given = state(asked, actuated={"a": Actuated(BIG, SMALL)})
    assert pod_actions.of(given, now=NOW).actions == (ResizeContainer(SEEN.id, "a", Actuated(BIG, BIG)),)


def test_until_it_has_it_the_status_shows_what_a_container_has() -> None:
    given = state(pod(BIG), actuated={"a": Actuated(SMALL)})
    (shown,) = pod_status.of(given, pod_status.StatusContext(PodStatus()), now=NOW).container_statuses
    assert shown.resources == SMALL
    assert shown.allocated_resources == BIG.requests
    assert condition_types(given) == {"PodResizeInProgress": ""}


def test_a_resize_that_fails_says_so() -> None:
    failure = {OpKey("resize/a"): Failure("Error", "no", NOW, 1, NOW + 1)}
    assert condition_types(state(pod(BIG), actuated={"a": Actuated(SMALL)}, failures=failure)) == {
        "PodResizeInProgress": "Error"
    }


def test_a_resize_that_waits_says_why() -> None:
    pending = ResizePending(ResizeReason.DEFERRED, "no room", 2)
    assert condition_types(state(pod(SMALL), resize_pending=pending)) == {"PodResizePending": "Deferred"}


def test_afterwards_nothing_is_said() -> None:
    assert condition_types(state(pod(BIG), actuated={"a": Actuated(BIG)})) == {}


def test_what_is_not_granted_yet_is_not_seen() -> None:
    grants = resize.resources_of(pod(SMALL))
    assert resize.is_asked(pod(BIG), grants)
    assert resize.granted(pod(BIG), grants).spec.containers[0].resources == SMALL
    assert not resize.is_asked(pod(SMALL), grants)


def told(resources: ResourceRequirements, allocated: ResourceRequirements, container: str = "a-0") -> ContainerStatus:
    return ContainerStatus(
        name="a",
        ready=True,
        restart_count=0,
        image="i:1",
        image_id="",
        state=Shown(),
        last_state=Shown(),
        container_id=f"containerd://{container}",
        allocated_resources=allocated.requests,
        resources=resources,
    )


def reported(of: Pod, *statuses: ContainerStatus, following: bool = False, **more: object) -> Pod:
    now = (PodCondition(type="PodResizeInProgress", status="True"),) if following else ()
    return msgspec.structs.replace(of, status=PodStatus(container_statuses=statuses, conditions=now, **more))


def test_after_a_restart_of_the_kubelet_the_status_tells_what_was_granted() -> None:
    assert resize.recalled(reported(pod(BIG), told(SMALL, SMALL)))["a"] == SMALL


ROUNDED = msgspec.structs.replace(BIG, requests={"cpu": "199m", "memory": "64Mi"})
INHERITED = msgspec.structs.replace(BIG, limits={"cpu": "400m", "memory": "1Gi"})
LESS = ResourceRequirements(requests={"cpu": "100m", "memory": "64Mi"}, limits={"cpu": "200m"})


@pytest.mark.parametrize(
    ("asked", "has"),
    [
        pytest.param(reported(pod(BIG), told(SMALL, SMALL)), SMALL, id="what it is told to have"),
        pytest.param(reported(pod(BIG), told(LESS, BIG), following=True), LESS, id="in the middle of a resize"),
        pytest.param(reported(pod(BIG), told(ROUNDED, BIG)), BIG, id="read back from shares of the CPU"),
        pytest.param(reported(pod(BIG), told(INHERITED, BIG)), BIG, id="with a limit that is the Pod's"),
        pytest.param(reported(pod(BIG), told(SMALL, SMALL, "a-older")), BIG, id="it was told of its predecessor"),
        pytest.param(pod(BIG), BIG, id="nothing was told"),
    ],
)
def test_what_a_container_has_that_ran_before_this_kubelet(asked: Pod, has: ResourceRequirements) -> None:
    found = resize.adopted(asked, asked, PodRuntime(UID, "ns", "pod", (SANDBOX,), (SEEN,)))
    assert found == {"a": Actuated(has)}


@pytest.mark.parametrize(
    ("following", "granted", "has"),
    [
        pytest.param(False, SMALL, SMALL, id="at rest"),
        pytest.param(True, msgspec.structs.replace(BIG, limits=SMALL.limits), SMALL, id="in the middle of a resize"),
    ],
)
def test_the_resources_of_a_whole_pod_are_told_too(
    *, following: bool, granted: ResourceRequirements, has: ResourceRequirements
) -> None:
    asked = msgspec.structs.replace(pod(BIG), spec=msgspec.structs.replace(pod(BIG).spec, resources=BIG))
    allocated = granted.requests
    asked = reported(asked, following=following, resources=SMALL, allocated_resources=allocated)
    assert resize.recalled(asked)[resize.WHOLE_POD] == granted
    found = resize.adopted(asked, asked, PodRuntime(UID, "ns", "pod", (SANDBOX,), (SEEN,)))
    assert found == {"a": Actuated(BIG, has)}


def test_nothing_runs_of_a_new_pod() -> None:
    assert resize.adopted(pod(BIG), pod(BIG), None) == {}


def test_a_resize_waits_for_room() -> None:
    allocatable = {name: quantity.parse(text) for name, text in {"cpu": "1", "memory": "1Gi", "pods": "9"}.items()}
    node = Node(status=NodeStatus(allocatable=allocatable))
    other = pod(ResourceRequirements(requests={"cpu": "900m"}))
    assert resize.judge(pod(SMALL), node, [other]) is None
    pending = resize.judge(pod(BIG), node, [other])
    assert pending is not None
    assert pending.reason is ResizeReason.DEFERRED
    assert pending.message == "Node didn't have enough resource: cpu, requested: 200, used: 900, capacity: 1000"


def test_a_dead_container_shows_what_was_granted() -> None:
    dead = dataclasses.replace(SEEN, state=ContainerState.EXITED, finished_at=NOW)
    given = state(pod(BIG), seen=PodRuntime(UID, "ns", "pod", (SANDBOX,), (dead,)), actuated={"a": Actuated(SMALL)})
    (shown,) = pod_status.of(given, pod_status.StatusContext(PodStatus()), now=NOW).container_statuses
    assert shown.resources == BIG


@pytest.mark.parametrize(
    ("have", "to", "lowered"),
    [
        pytest.param({"memory": "2Ki"}, {"memory": "1Ki"}, 1024, id="less than before"),
        pytest.param({"memory": "1Ki"}, {"memory": "2Ki"}, None, id="more than before"),
        pytest.param({}, {"memory": "1Ki"}, 1024, id="a limit where there was none"),
        pytest.param({"cpu": "1"}, {"cpu": "100m"}, None, id="less of something else"),
    ],
)
def test_a_lower_memory_limit_is_told_apart(have: dict[str, str], to: dict[str, str], lowered: int | None) -> None:
    before, after = (Actuated(ResourceRequirements(limits=limits)) for limits in (have, to))
    assert resize.lowered_memory_limit(before, after) == lowered


def test_a_limit_is_inherited_from_the_pod() -> None:
    whole = ResourceRequirements(limits={"memory": "1Ki"})
    assert resize.lowered_memory_limit(Actuated(BIG), Actuated(BIG, whole)) == 1024


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(SMALL, BIG, [("cpu", "requests", "increase")], id="more"),
        pytest.param(BIG, SMALL, [("cpu", "requests", "decrease")], id="less"),
        pytest.param(
            ResourceRequirements(limits={"memory": "1Gi"}),
            ResourceRequirements(requests={"memory": "1Gi"}),
            [("memory", "requests", "add"), ("memory", "limits", "remove")],
            id="one for the other",
        ),
        pytest.param(
            SMALL,
            ResourceRequirements(requests={"cpu": "100m", "memory": "65536Ki"}, limits={"cpu": "0.4"}),
            [],
            id="the same in other words",
        ),
        pytest.param(
            SMALL,
            ResourceRequirements(requests={**SMALL.requests, "example.com/gpu": "1"}, limits=SMALL.limits),
            [],
            id="what cannot be resized",
        ),
    ],
)
def test_what_is_asked_to_be_changed(
    before: ResourceRequirements, after: ResourceRequirements, told: list[tuple[str, str, str]]
) -> None:
    assert list(resize.requested(pod(before), pod(after))) == told
