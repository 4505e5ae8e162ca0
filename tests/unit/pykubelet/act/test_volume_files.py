"""Volumes on a real file system: atomic swaps, sub-paths that try to escape, ownership."""

import os
from pathlib import Path

import pytest

from pykubelet.act import atomic_writer, files
from pykubelet.act.volumes import ownership
from pykubelet.decide.environment import ConfigError
from pykubelet.decide.volume_content import File
from tests.unit.pykubelet.decide.pods import pod


def _content(folder: Path) -> dict[str, str]:
    """What a container sees: names that are not the writer's own, links followed."""
    found = {}
    for base, _, names in os.walk(folder, followlinks=True):
        inside = Path(base).relative_to(folder)
        if not any(part.startswith("..") for part in inside.parts):
            found |= {str(inside / name): Path(base, name).read_text() for name in names if not name.startswith("..")}
    return found


def test_files_change_all_at_once(tmp_path: Path) -> None:
    assert atomic_writer.write(tmp_path, {"a": File(b"1", 0o644), "d/b": File(b"2", 0o400)})
    before = os.readlink(tmp_path / "..data")
    assert _content(tmp_path) == {"a": "1", "d/b": "2"}
    assert os.readlink(tmp_path / "a") == "..data/a"
    assert (tmp_path / "d/b").stat().st_mode & 0o777 == 0o400

    assert atomic_writer.write(tmp_path, {"a": File(b"3", 0o644), "c": File(b"4", 0o644)})
    assert _content(tmp_path) == {"a": "3", "c": "4"}
    assert os.readlink(tmp_path / "..data") != before
    assert not (tmp_path / before).exists()
    assert not (tmp_path / "d").is_symlink()


def test_unchanged_files_are_left_alone(tmp_path: Path) -> None:
    atomic_writer.write(tmp_path, {"a": File(b"1", 0o644)})
    before = os.readlink(tmp_path / "..data")
    assert not atomic_writer.write(tmp_path, {"a": File(b"1", 0o644)})
    assert os.readlink(tmp_path / "..data") == before


def test_a_write_that_fails_leaves_the_old_files(tmp_path: Path) -> None:
    atomic_writer.write(tmp_path, {"a": File(b"1", 0o644)})
    with pytest.raises(OSError, match=r"exists|directory"):
        atomic_writer.write(tmp_path, {"x": File(b"1", 0o644), "x/y": File(b"2", 0o644)})
    assert _content(tmp_path) == {"a": "1"}
    assert len([p for p in tmp_path.iterdir() if p.name.startswith("..2")]) == 1


@pytest.mark.parametrize(
    "to",
    [
        pytest.param("/etc", id="an absolute link out of the volume"),
        pytest.param("../../outside", id="a relative link out of the volume"),
    ],
)
def test_a_sub_path_cannot_be_led_out_of_its_volume(tmp_path: Path, to: str) -> None:
    volume = tmp_path / "deep" / "volume"
    volume.mkdir(parents=True)
    (volume / "out").symlink_to(to)
    with pytest.raises(ConfigError, match="leads out"):
        files._open_beneath(str(volume), "out/passwd")


def test_a_sub_path_follows_links_that_stay_inside(tmp_path: Path) -> None:
    atomic_writer.write(tmp_path, {"key": File(b"value", 0o644)})
    descriptor = files._open_beneath(str(tmp_path), "key")
    try:
        assert Path(f"/proc/self/fd/{descriptor}").read_text() == "value"
    finally:
        os.close(descriptor)


def test_a_missing_sub_path_is_made_with_the_volumes_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    os.close(files._open_beneath(str(tmp_path), "a/b"))
    assert (tmp_path / "a" / "b").stat().st_mode & 0o7777 == 0o2770


def test_hosts_and_termination_files(tmp_path: Path) -> None:
    there = files.PodFiles(tmp_path, cluster_domain="cluster.local")
    hosts = Path(there.etc_hosts(pod(), ("198.19.1.5",)))
    assert hosts == tmp_path / "pods/u1/etc-hosts"
    assert "198.19.1.5\tweb\n" in hosts.read_text()
    log = Path(there.termination_log(pod(), "app"))
    assert log.parent == tmp_path / "pods/u1/containers/app"
    assert log.stat().st_mode & 0o777 == 0o666
    assert there.known() == ["u1"]
    there.remove(pod().uid)
    assert there.known() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to another group needs root")
def test_a_volume_is_given_to_the_fs_group(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "d" / "f").touch(mode=0o600)
    ownership.apply(tmp_path, pod(securityContext={"fsGroup": 2000}), read_only=False)
    assert ((tmp_path / "d").stat().st_gid, (tmp_path / "d").stat().st_mode & 0o7777) == (2000, 0o2770)
    assert ((tmp_path / "d" / "f").stat().st_gid, (tmp_path / "d" / "f").stat().st_mode & 0o7777) == (2000, 0o660)
