"""Which resources a Pod was granted."""

from pykubelet.act.grants import Grants
from pykubelet.model.actions import Actuated
from pykubelet.model.container import Container, ResourceRequirements
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.pod_state import ResizePending, ResizeReason

NO_ROOM = ResizePending(ResizeReason.DEFERRED, "no room", 2)


def pod(cpu: str) -> Pod:
    return Pod(spec=PodSpec(containers=(Container(name="a", resources=ResourceRequirements(requests={"cpu": cpu})),)))


def test_a_new_pod_is_granted_what_it_asks_for() -> None:
    assert Grants().consider(pod("1"), lambda _: NO_ROOM, None) == pod("1")


def test_a_change_waits_until_there_is_room() -> None:
    grants = Grants()
    grants.consider(pod("1"), lambda _: None, None)
    assert grants.applied(pod("2")) == pod("1")
    assert grants.consider(pod("2"), lambda _: NO_ROOM, None) == pod("1")
    assert grants.pending == NO_ROOM
    assert grants.consider(pod("2"), lambda _: None, None) == pod("2")
    assert grants.pending is None
    assert grants.applied(pod("2")) == pod("2")


def test_a_change_that_is_taken_back_waits_no_longer() -> None:
    grants = Grants()
    grants.consider(pod("1"), lambda _: None, None)
    grants.consider(pod("2"), lambda _: NO_ROOM, None)
    assert grants.consider(pod("1"), lambda _: NO_ROOM, None) == pod("1")
    assert grants.pending is None


def test_a_container_has_what_was_granted_when_it_started() -> None:
    grants = Grants()
    granted = grants.consider(pod("1"), lambda _: None, None)
    grants.starts(granted, "a")
    assert grants.actuated == {"a": Actuated(ResourceRequirements(requests={"cpu": "1"}))}
