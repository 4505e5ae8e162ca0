"""Folders that a volume needs for others mounted inside it."""

import pytest

from pykubelet.decide import mounts
from tests.unit.pykubelet.decide.pods import pod


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        pytest.param({"a": "/etc/x", "b": "/etc/x/sub"}, ("sub",), id="one below the other"),
        pytest.param({"a": "/etc/x", "b": "/etc/xy"}, (), id="a name that only begins alike"),
        pytest.param({"a": "/x", "b": "/x/in", "c": "/x/in/deeper"}, ("in",), id="the outer of two is enough"),
        pytest.param({"a": "/x", "b": "/x/in", "c": "/x/in-two/y"}, ("in", "in-two/y"), id="neighbours"),
        pytest.param({"a": "/x/in", "b": "/x"}, (), id="the outer volume needs nothing"),
    ],
)
def test_nested(paths: dict[str, str], expected: tuple[str, ...]) -> None:
    made = pod({"volumeMounts": [{"name": name, "mountPath": path} for name, path in paths.items()]})
    assert mounts.nested(made, "a") == expected
