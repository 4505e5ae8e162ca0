"""Which handler of the runtime a Pod gets, and which user ids."""

from pathlib import Path

import pytest

from pykubelet.act.isolation import PodIsolation
from pykubelet.act.user_namespaces import UserNamespaces
from pykubelet.decide.environment import ConfigError
from pykubelet.model.observed import RuntimeHandler
from pykubelet.model.runtime_config import NamespaceMode
from tests.unit.pykubelet.decide.pods import pod

HANDLERS = (RuntimeHandler("", user_namespaces=True), RuntimeHandler("micro", recursive_read_only_mounts=True))


class Classes:
    """One class, `small`, of handler `micro`."""

    def __init__(self, *, synced: bool = True) -> None:
        self.synced = synced

    def handler(self, name: str) -> str | None:
        return "micro" if self.synced and name == "small" else None


def _isolation(folder: Path, *, synced: bool = True) -> PodIsolation:
    return PodIsolation(Classes(synced=synced), UserNamespaces(folder), handlers=lambda: HANDLERS)


def test_a_class_names_a_handler_which_says_what_it_can(tmp_path: Path) -> None:
    found = _isolation(tmp_path).of(pod(runtimeClassName="small"))
    assert (found.handler, found.recursive_read_only, found.user.mode) == ("micro", True, NamespaceMode.NODE)
    assert _isolation(tmp_path).of(pod(hostUsers=False)).user.mode is NamespaceMode.POD


@pytest.mark.parametrize(
    ("spec", "synced", "message"),
    [
        pytest.param(
            {"runtimeClassName": "gone"}, True, 'node.k8s.io "gone" not found', id="a class that is not there"
        ),
        pytest.param({"runtimeClassName": "small"}, False, "not been read yet", id="classes not known yet"),
        pytest.param(
            {"runtimeClassName": "small", "hostUsers": False},
            True,
            "does not support user namespaces",
            id="a handler without user namespaces",
        ),
    ],
)
def test_what_cannot_be_met_is_said(tmp_path: Path, spec: dict[str, object], synced: bool, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _isolation(tmp_path, synced=synced).of(pod(**spec))
