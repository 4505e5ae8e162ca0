"""What people are told of a resize in place."""

import msgspec
import pytest

from pykubelet.decide import resize_events
from pykubelet.model.container import Container, ResourceRequirements
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.status import PodCondition, PodStatus


def pod(cpu: str, generation: int) -> Pod:
    own = ResourceRequirements(requests={"memory": "100", "cpu": cpu}, limits={"cpu": cpu})
    made = Pod(spec=PodSpec(containers=(Container(name="a", resources=own), Container(name="b"))))
    return msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, generation=generation))


def told(type_: str, reason: str = "", message: str = "", generation: int = 2) -> PodStatus:
    one = PodCondition(type=type_, status="True", reason=reason, message=message, observed_generation=generation)
    return PodStatus(conditions=(one,))


def shown(cpu: str, generation: int, error: str = "") -> str:
    more = f',"error":"{error}"' if error else ""
    return (
        f'{{"containers":[{{"name":"a","resources":{{"limits":{{"cpu":"{cpu}"}},"requests":'
        f'{{"cpu":"{cpu}","memory":"100"}}}}}},{{"name":"b","resources":{{}}}}],"generation":{generation}{more}}}'
    )


NOTHING = PodStatus()
NO_ROOM = r"no \u003croom\u003e"
DEFERRED = told("PodResizePending", "Deferred", "no <room>")
FOLLOWED = told("PodResizeInProgress")
FAILED = told("PodResizeInProgress", "Error", "in use")
ONE, TWO = pod("1", 2), pod("2", 2)


@pytest.mark.parametrize(
    ("granted", "before", "now", "newly", "expected"),
    [
        pytest.param(
            ONE,
            NOTHING,
            DEFERRED,
            False,
            [("Warning", "ResizeDeferred", f"Pod resize Deferred: {shown('2', 2, NO_ROOM)}")],
            id="it has to wait",
        ),
        pytest.param(ONE, DEFERRED, DEFERRED, False, [], id="it still has to wait"),
        pytest.param(
            ONE,
            told("PodResizePending", "Deferred", generation=1),
            DEFERRED,
            False,
            [("Warning", "ResizeDeferred", f"Pod resize Deferred: {shown('2', 2, NO_ROOM)}")],
            id="another has to wait",
        ),
        pytest.param(
            TWO,
            DEFERRED,
            FOLLOWED,
            True,
            [("Normal", "ResizeStarted", f"Pod resize started: {shown('2', 2)}")],
            id="it is granted",
        ),
        pytest.param(TWO, FOLLOWED, FOLLOWED, False, [], id="its containers follow"),
        pytest.param(
            TWO,
            FOLLOWED,
            FAILED,
            False,
            [("Warning", "ResizeError", f"Pod resize error: {shown('2', 2, 'in use')}")],
            id="a container cannot follow",
        ),
        pytest.param(TWO, FAILED, FAILED, False, [], id="it still cannot"),
        pytest.param(
            TWO,
            FAILED,
            NOTHING,
            False,
            [("Normal", "ResizeCompleted", f"Pod resize completed: {shown('2', 2)}")],
            id="all have followed",
        ),
        pytest.param(
            TWO,
            NOTHING,
            NOTHING,
            True,
            [
                ("Normal", "ResizeStarted", f"Pod resize started: {shown('2', 2)}"),
                ("Normal", "ResizeCompleted", f"Pod resize completed: {shown('2', 2)}"),
            ],
            id="nothing runs that has to follow",
        ),
        pytest.param(ONE, NOTHING, NOTHING, False, [], id="nobody asked for one"),
    ],
)
def test_events_of_a_resize(
    granted: Pod, before: PodStatus, now: PodStatus, *, newly: bool, expected: list[tuple[str, str, str]]
) -> None:
    found = resize_events.of(TWO, granted, before, now, newly=newly)
    assert [(one.type, one.reason, one.message) for one in found] == expected
