"""What is mounted where, by the kernel's table."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pykubelet.act import mount

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "disk").mkdir()
    (tmp_path / "real/pods/u1/volumes/a b").mkdir(parents=True)
    (tmp_path / "real/pods/u10").mkdir(parents=True)
    yield tmp_path
    for point in mount.below(tmp_path):
        mount.unmount(point)


@pytest.mark.parametrize(
    "name", [pytest.param("real", id="a folder"), pytest.param("link", id="a folder that is reached by a link")]
)
def test_mounts_are_found_by_the_name_they_were_made_by(root: Path, name: str) -> None:
    (root / "link").symlink_to(root / "real")
    pod = root / name / "pods/u1"
    assert mount.below(pod) == []
    mount.bind(root / "disk", pod)
    (pod / "volumes").mkdir()
    mount.bind(root / "disk", pod / "volumes")
    mount.bind(root / "disk", root / name / "pods/u10")
    assert mount.below(pod) == [pod / "volumes", pod]
    assert mount.is_mounted(pod / "volumes")
    assert not mount.is_mounted(pod / "volumes/a b")


def test_what_cannot_be_made_read_only_is_not_mounted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = mount._mount

    def refuse(source: str, target: Path, kind: str, flags: int, options: str) -> None:
        if flags & mount.REMOUNT:
            raise PermissionError(1, "Operation not permitted", str(target))
        really(source, target, kind, flags, options)

    monkeypatch.setattr(mount, "_mount", refuse)
    with pytest.raises(PermissionError):
        mount.bind(root / "disk", root / "real", read_only=True)
    assert mount.below(root) == []
