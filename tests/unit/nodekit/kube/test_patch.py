"""Patches say what changed and nothing else; applying them gives the new state."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodekit.kube import patch
from nodekit.kube.client import PatchKind
from nodekit.objects import node
from nodekit.objects.quantity import Quantity


def condition(kind: str, status: str, reason: str = "") -> node.NodeCondition:
    return node.NodeCondition(type=kind, status=status, reason=reason)


def of(*conditions: node.NodeCondition, **more: Any) -> node.Node:
    return node.Node(status=node.NodeStatus(conditions=conditions, **more))


READY, PRESSED = condition("Ready", "True", "ok"), condition("DiskPressure", "False")
ORDER = [{"type": "Ready"}, {"type": "DiskPressure"}]


@pytest.mark.parametrize(
    ("old", "new", "body"),
    [
        pytest.param(of(READY), of(READY), None, id="equal states need no patch"),
        pytest.param(
            of(READY, PRESSED),
            of(condition("Ready", "False", "ok"), PRESSED),
            {
                "status": {
                    "conditions": [{"type": "Ready", "status": "False"}],
                    "$setElementOrder/conditions": ORDER,
                }
            },
            id="of a changed condition only the changed field is sent",
        ),
        pytest.param(
            of(READY, PRESSED),
            of(PRESSED),
            {
                "status": {
                    "conditions": [{"$patch": "delete", "type": "Ready"}],
                    "$setElementOrder/conditions": [{"type": "DiskPressure"}],
                }
            },
            id="a condition that went is deleted by its key",
        ),
        pytest.param(
            of(READY, PRESSED),
            of(condition("Ready", "True"), PRESSED),
            {
                "status": {
                    "conditions": [{"type": "Ready", "reason": None}],
                    "$setElementOrder/conditions": ORDER,
                }
            },
            id="a field that went is null",
        ),
        pytest.param(
            of(capacity={"cpu": Quantity.of(2), "x": Quantity.of(1)}),
            of(capacity={"cpu": Quantity.of(4)}),
            {"status": {"capacity": {"cpu": "4", "x": None}}},
            id="maps are patched entry by entry",
        ),
        pytest.param(
            of(images=(node.ContainerImage(names=("a",)),)),
            of(images=(node.ContainerImage(names=("a",)), node.ContainerImage(names=("b",)))),
            {"status": {"images": [{"names": ["a"]}, {"names": ["b"]}]}},
            id="a list without a merge key is sent whole",
        ),
        pytest.param(
            of(addresses=(node.NodeAddress(type="InternalIP", address="1"),)),
            of(
                addresses=(
                    node.NodeAddress(type="InternalIP", address="1"),
                    node.NodeAddress(type="InternalIP", address="2"),
                )
            ),
            {
                "status": {
                    "addresses": [
                        {"$patch": "replace"},
                        {"type": "InternalIP", "address": "1"},
                        {"type": "InternalIP", "address": "2"},
                    ]
                }
            },
            id="a list with two elements of one key is replaced",
        ),
    ],
)
def test_strategic_patch(old: node.Node, new: node.Node, body: dict[str, Any] | None) -> None:
    made = patch.strategic(old, new)
    assert (made and msgspec.json.decode(made.body)) == body


def test_a_uid_guards_the_patch() -> None:
    made = patch.strategic(of(), of(READY), uid="u1")
    assert made is not None
    assert made.kind is PatchKind.STRATEGIC
    assert msgspec.json.decode(made.body)["metadata"] == {"uid": "u1"}


def applied(target: Any, change: Any) -> Any:
    """RFC 7396, word for word."""
    if not isinstance(change, dict):
        return change
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = applied(result.get(name), value)
    return result


JSON = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(OBJECTS, OBJECTS)
def test_applying_a_merge_patch_gives_the_new_state(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert applied(old, patch.difference(old, new, merged={})) == new
