"""A Pod's scratch folders."""

from pathlib import Path

import pytest

from pykubelet.act.volumes.kinds import Slot
from pykubelet.act.volumes.plain import EmptyDir
from pykubelet.model.volume import EmptyDirSource, Volume
from tests.unit.pykubelet.act.group import Group
from tests.unit.pykubelet.decide.pods import pod


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    return Group(monkeypatch)


def _slot(root: Path) -> Slot:
    volume = Volume(name="data", empty_dir=EmptyDirSource())
    return Slot(pod(securityContext={"fsGroup": 2000}), volume, root / "pods/u1/volumes/kubernetes.io~empty-dir/data")


async def test_a_group_that_was_not_given_the_folder_is_given_it_at_the_next_try(tmp_path: Path, group: Group) -> None:
    kind, slot = EmptyDir(memory_allocatable=0), _slot(tmp_path)
    await group.is_given_late(lambda: kind.fill(slot))
    assert slot.folder.stat().st_mode & 0o777 == 0o777


async def test_a_folder_that_others_made_is_not_given_again(tmp_path: Path, group: Group) -> None:
    slot = _slot(tmp_path)
    slot.folder.mkdir(parents=True)
    await EmptyDir(memory_allocatable=0).fill(slot)
    assert group.tries == 0
