"""What a container can write into a volume leads the kubelet nowhere else: a test for each class of past holes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pykubelet.act import atomic_writer, files, mount
from pykubelet.act.volumes import VolumeManager, ownership
from pykubelet.decide.environment import ConfigError
from pykubelet.decide.volume_content import File
from tests.unit.pykubelet.decide.pods import pod

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and other groups need root")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "node" / "secret"
    folder.mkdir(parents=True)
    (folder / "key").write_text("hush")
    (folder / "key").chmod(0o600)
    return folder


def _volume(tmp_path: Path) -> Path:
    folder = tmp_path / "pods" / "u1" / "volumes" / "kubernetes.io~empty-dir" / "data"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("link", id="the sub-path itself is a link"),
        pytest.param("link/key", id="a step of it is"),
        pytest.param("in/up/key", id="a link deeper in"),
    ],
)
def test_cve_2017_1002101_a_sub_path_through_a_link(tmp_path: Path, outside: Path, path: str) -> None:
    volume = _volume(tmp_path)
    (volume / "link").symlink_to(outside)
    (volume / "in").mkdir()
    (volume / "in" / "up").symlink_to("../../../../../../node/secret")
    with pytest.raises(ConfigError):
        os.close(files._open_beneath(str(volume), path))


@pytest.mark.parametrize(
    "name",
    [pytest.param("d", id="the last step is swapped"), pytest.param("d/e", id="a step in the middle is swapped")],
)
def test_cve_2021_25741_a_step_is_swapped_for_a_link_after_it_was_looked_at(
    tmp_path: Path, outside: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = _volume(tmp_path)
    (volume / name).mkdir(parents=True)
    look = os.path.realpath

    def then_swap(path: str, **more: bool) -> str:
        found = look(path, **more)
        if (volume / "d").is_dir() and not (volume / "d").is_symlink() and path != str(volume):
            (volume / "d").rename(volume / "old")
            (volume / "d").symlink_to(outside)
        return str(found)

    monkeypatch.setattr(os.path, "realpath", then_swap)
    with pytest.raises((ConfigError, OSError)):
        os.close(files._open_beneath(str(volume), name))


def test_a_missing_sub_path_is_not_made_through_a_link(tmp_path: Path, outside: Path) -> None:
    volume = _volume(tmp_path)
    (volume / "link").symlink_to(outside)
    with pytest.raises(ConfigError):
        os.close(files._open_beneath(str(volume), "link/new"))
    assert not (outside / "new").exists()


@pytest.mark.parametrize(
    "to",
    [
        pytest.param(str, id="an absolute path"),
        pytest.param(lambda outside: "../../../../../node/secret", id="a path upwards"),
        pytest.param(lambda outside: "..", id="the folder above"),
    ],
)
def test_cve_2017_1002102_a_forged_data_link_has_nothing_removed(
    tmp_path: Path, outside: Path, to: Callable[[Path], str]
) -> None:
    volume = _volume(tmp_path)
    atomic_writer.write(volume, {"a": File(b"1", 0o644)})
    (volume / "..data").unlink()
    (volume / "..data").symlink_to(to(outside))
    atomic_writer.write(volume, {"a": File(b"2", 0o644)})
    assert (outside / "key").read_text() == "hush"
    assert (volume / "a").read_text() == "2"


def test_an_env_file_is_read_inside_its_volume_only(tmp_path: Path, outside: Path) -> None:
    volume = _volume(tmp_path)
    (volume / "env").symlink_to(outside / "key")
    (volume / "own").write_text("A='1'")
    (volume / "inside").symlink_to("own")
    there = files.PodFiles(tmp_path, cluster_domain="cluster.local")
    assert there.read_inside(str(volume), "inside") == "A='1'"
    os.mkfifo(volume / "pipe")
    for path in ("env", "missing/env", "pipe"):
        with pytest.raises(ConfigError):
            there.read_inside(str(volume), path)
    assert not (volume / "missing").exists()


class Nothing:
    """Stands in for what a manager has beside its files."""

    async def unmount(self, folder: Path) -> None:
        return None

    def forget(self, uid: str) -> None:
        return None


async def test_cve_2017_1002102_removing_volumes_follows_no_link(tmp_path: Path, outside: Path) -> None:
    volume = _volume(tmp_path)
    (volume / "link").symlink_to(outside)
    (volume / "..data").symlink_to(outside)
    nothing = Nothing()
    there = files.PodFiles(tmp_path, cluster_domain="cluster.local")
    manager = VolumeManager(there, [], csi=nothing, issuers=nothing, recorder=nothing)  # type: ignore[arg-type]
    await manager.forget(pod())
    assert not (tmp_path / "pods" / "u1").exists()
    assert (outside / "key").read_text() == "hush"


@root_only
async def test_what_is_mounted_in_a_pods_folder_is_not_emptied(tmp_path: Path, outside: Path) -> None:
    volume = _volume(tmp_path)
    mount.bind(outside, volume)
    there = files.PodFiles(tmp_path, cluster_domain="cluster.local")
    with pytest.raises(OSError, match="is still mounted"):
        there.remove(pod().uid)
    nothing = Nothing()
    manager = VolumeManager(there, [], csi=nothing, issuers=nothing, recorder=nothing)  # type: ignore[arg-type]
    await manager.forget(pod())
    assert (outside / "key").read_text() == "hush"


@root_only
def test_a_group_is_given_nothing_outside_its_volume(tmp_path: Path, outside: Path) -> None:
    volume = _volume(tmp_path)
    (volume / "file").symlink_to(outside / "key")
    (volume / "folder").symlink_to(outside)
    ownership.apply(volume, pod(securityContext={"fsGroup": 2000}), read_only=False)
    found = (outside / "key").stat()
    assert (found.st_gid, found.st_mode & 0o777) == (0, 0o600)
    assert outside.stat().st_gid == 0
    assert (volume / "folder").lstat().st_gid == 2000
