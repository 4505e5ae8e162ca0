"""Folders are removed without what is mounted in them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pykubelet.act import files, mount, removal
from pykubelet.act.volumes import VolumeManager
from pykubelet.errors import PodError
from tests.unit.pykubelet.decide.pods import pod

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")


def test_a_folder_goes_with_all_in_it_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "gone/deep/er").mkdir(parents=True)
    (tmp_path / "gone/deep/file").touch()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    (tmp_path / "gone/link").symlink_to(tmp_path / "kept")
    removal.remove_tree(tmp_path / "gone")
    removal.remove_tree(tmp_path / "gone")
    removal.remove_tree(tmp_path / "never/there")
    assert list(tmp_path.rglob("*")) == [tmp_path / "kept", tmp_path / "kept/file"]


def _bind(disk: Path, target: Path) -> None:
    mount.bind(disk, target)


def _memory(disk: Path, target: Path) -> None:
    mount.tmpfs(disk)
    (disk / "data").touch()
    mount.bind(disk, target)


def _bind_file(disk: Path, target: Path) -> None:
    (target / "file").touch()
    mount.bind(disk / "data", target / "file")


MOUNTED = pytest.mark.parametrize(
    "mounted",
    [
        pytest.param(_bind, id="a folder of the same file system"),
        pytest.param(_memory, id="another file system"),
        pytest.param(_bind_file, id="a file"),
    ],
)


class Disk:
    """A folder of the node, and what has it mounted."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "disk"
        self.folder.mkdir()
        (self.folder / "data").touch()
        self.target = root / "pods/u1/volumes/kubernetes.io~local-volume/pv-1"
        self.target.mkdir(parents=True)


@pytest.fixture
def disk(tmp_path: Path):
    yield Disk(tmp_path)
    for point in mount.below(tmp_path):
        mount.unmount(point)


@root_only
@MOUNTED
def test_what_is_mounted_is_not_gone_into(tmp_path: Path, disk: Disk, mounted: Callable[[Path, Path], None]) -> None:
    mounted(disk.folder, disk.target)
    with pytest.raises(OSError, match="is still mounted"):
        removal.remove_tree(tmp_path / "pods/u1/volumes")
    assert (disk.folder / "data").exists()


class Late:
    """A storage driver that is slow; meanwhile something else is mounted."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then

    async def unmount(self, folder: Path) -> None:
        self._then()

    def forget(self, uid: str) -> None:
        return None


@root_only
@MOUNTED
async def test_what_was_mounted_meanwhile_keeps_its_data(
    tmp_path: Path, disk: Disk, mounted: Callable[[Path, Path], None]
) -> None:
    there = files.PodFiles(tmp_path, cluster_domain="cluster.local")
    late = Late(lambda: mounted(disk.folder, disk.target))
    manager = VolumeManager(there, [], csi=late, issuers=late, recorder=late)  # type: ignore[arg-type]
    with pytest.raises(PodError, match=rf"{disk.target}.* is still mounted"):
        await manager.tear_down(pod())
    assert (disk.folder / "data").exists()
    late._then = lambda: None
    await manager.forget(pod())
    assert not (tmp_path / "pods/u1").exists()
    assert list(tmp_path.rglob("disk"))
