import os
import resource
import stat
from pathlib import Path

import pytest

from nodekit import whole_file

SECRET = b"a key that is longer than the disk has room for"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("before", "mode", "umask", "expected"),
    [
        pytest.param(None, 0o644, 0o022, 0o644, id="a file that was not there has the mode that is asked for"),
        pytest.param(0o644, 0o600, 0o000, 0o600, id="what others could read they can read no more"),
        pytest.param(0o600, 0o644, 0o022, 0o644, id="what others could not read they can read now"),
        pytest.param(0o644, 0o644, 0o077, 0o600, id="the umask takes away from the mode"),
    ],
)
def test_a_file_is_replaced_with_its_mode(
    tmp_path: Path, before: int | None, mode: int, umask: int, expected: int
) -> None:
    path = tmp_path / "kept"
    if before is not None:
        path.write_bytes(b"old")
        path.chmod(before)
    usual = os.umask(umask)
    try:
        whole_file.write(path, b"new", mode=mode)
    finally:
        os.umask(usual)
    assert (path.read_bytes(), mode_of(path)) == (b"new", expected)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("via", "name"),
    [
        pytest.param(None, "kept.new", id="beside its place under its own name"),
        pytest.param(".part", ".part", id="beside its place under the name that its readers pass over"),
    ],
)
def test_bytes_are_on_the_disk_and_nobody_elses_before_they_are_in_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, via: str | None, name: str
) -> None:
    path, seen = tmp_path / "kept", []
    path.write_bytes(b"old")

    def look(descriptor: int) -> None:
        beside = tmp_path / name
        assert os.path.samestat(os.fstat(descriptor), beside.stat())
        seen.append((beside.read_bytes(), mode_of(beside), path.read_bytes()))

    monkeypatch.setattr(os, "fsync", look)
    whole_file.write(path, b"in no hurry", mode=0o600, via=via)
    assert not seen, "not flushed unless asked for"
    whole_file.write(path, SECRET, mode=0o600, flush=True, via=via)
    assert seen == [(SECRET, 0o600, b"in no hurry")]
    assert path.read_bytes() == SECRET


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, usual[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            whole_file.write(path, SECRET, mode=0o600)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert path.read_bytes() == b"old"
    assert mode_of(tmp_path / "kept.new") == 0o600, "half a secret is nobody else's either"
    whole_file.write(path, SECRET, mode=0o600)
    assert path.read_bytes() == SECRET
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_crash_left_is_not_written_into(tmp_path: Path) -> None:
    path, left, elsewhere = tmp_path / "kept", tmp_path / "kept.new", tmp_path / "elsewhere"
    left.write_bytes(b"half")
    left.chmod(0o666)
    with left.open("rb") as somebody:
        whole_file.write(path, SECRET, mode=0o600)
        assert somebody.read() == b"half", "who could open it then does not read the secret now"
    assert mode_of(path) == 0o600
    elsewhere.write_bytes(b"theirs")
    left.symlink_to(elsewhere)
    whole_file.write(path, b"new", mode=0o600)
    assert (path.read_bytes(), path.is_symlink(), elsewhere.read_bytes()) == (b"new", False, b"theirs")


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        whole_file.write(tmp_path / "missing/kept", b"new", mode=0o600)
