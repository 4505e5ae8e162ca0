"""Ranges of user ids: never shared, kept over a restart, given back."""

import dataclasses
from pathlib import Path

import msgspec
import pytest

from pykubelet.act.user_namespaces import Range, UserNamespaces
from pykubelet.decide.environment import ConfigError
from pykubelet.model.pod import Pod
from pykubelet.model.runtime_config import IdMapping, NamespaceMode
from tests.unit.pykubelet.decide.pods import pod


def _pod(uid: str) -> Pod:
    made = pod(hostUsers=False)
    return msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, uid=uid))


def _first(there: UserNamespaces, uid: str) -> int:
    return there.of(_pod(uid), supported=True).uids[0].host_id


def test_no_two_pods_share_ids_and_each_keeps_its_own(tmp_path: Path) -> None:
    there = UserNamespaces(tmp_path)
    first, second = _first(there, "a"), _first(there, "b")
    assert (first, second) == (65_536, 131_072)
    assert _first(there, "a") == first
    again = UserNamespaces(tmp_path)
    assert (_first(again, "b"), _first(again, "c")) == (second, 196_608)


def test_ids_given_back_are_given_again(tmp_path: Path) -> None:
    there = UserNamespaces(tmp_path, ids=Range(65_536, 65_536))
    first = _first(there, "a")
    with pytest.raises(ConfigError, match="could not find an empty slot"):
        _first(there, "b")
    there.release(_pod("a").uid)
    assert _first(there, "b") == first


def test_the_file_is_the_genuine_kubelets(tmp_path: Path) -> None:
    _first(UserNamespaces(tmp_path), "a")
    mapping = [{"hostId": 65_536, "containerId": 0, "length": 65_536}]
    found = msgspec.json.decode((tmp_path / "pods/a/userns").read_bytes())
    assert found == {"uidMappings": mapping, "gidMappings": mapping}


def test_other_pods_live_with_the_nodes_users(tmp_path: Path) -> None:
    given = UserNamespaces(tmp_path).of(pod(), supported=False)
    assert (given.mode, given.uids) == (NamespaceMode.NODE, ())
    with pytest.raises(ConfigError, match="runtime does not support user namespaces"):
        UserNamespaces(tmp_path).of(_pod("a"), supported=False)


def test_root_of_the_node_is_never_mapped(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="above 0"):
        UserNamespaces(tmp_path, ids=Range(0, 65_536))
    assert dataclasses.asdict(UserNamespaces(tmp_path).of(_pod("a"), supported=True).gids[0]) == dataclasses.asdict(
        IdMapping(65_536, 0, 65_536)
    )


def test_ids_that_could_not_be_written_down_are_written_at_the_next_try(tmp_path: Path) -> None:
    there = UserNamespaces(tmp_path)
    (tmp_path / "pods").touch()  # where a folder should be
    with pytest.raises(OSError, match="pods"):
        _first(there, "a")
    (tmp_path / "pods").unlink()
    first = _first(there, "a")
    assert _first(UserNamespaces(tmp_path), "b") != first, "the next kubelet knows of them"


def test_ids_stay_taken_while_the_record_of_them_cannot_be_removed(tmp_path: Path) -> None:
    there = UserNamespaces(tmp_path)
    first = _first(there, "a")
    record = tmp_path / "pods/a/userns"
    record.unlink()
    record.mkdir()
    with pytest.raises(OSError, match="userns"):
        there.release(_pod("a").uid)
    assert _first(there, "b") != first
