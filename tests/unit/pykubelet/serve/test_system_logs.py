"""Whatever is asked of /logs/, nothing outside the folder comes out."""

import os
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykubelet.serve import system_logs

SECRET = b"of the machine"
PARTS = [
    "..",
    ".",
    "",
    "a",
    "b",
    "out",
    "outfile",
    "inside",
    "loop",
    "secret",
    "%2e%2e",
    "..%2f",
    "\\",
    "\0",
    "etc",
    "~",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """log/ with files and links, and a secret beside it."""
    top = tmp_path_factory.mktemp("machine")
    (top / "secret").write_bytes(SECRET)
    logs = top / "log"
    (logs / "a/b").mkdir(parents=True)
    (logs / "a/file").write_text("of a")
    (logs / "inside").symlink_to("a/file")
    (logs / "absolute").symlink_to(logs / "a/file")
    (logs / "out").symlink_to("..")
    (logs / "outfile").symlink_to(top / "secret")
    (logs / "loop").symlink_to("loop")
    os.mkfifo(logs / "pipe")
    return logs


def read(folder: Path, asked: str) -> bytes | None:
    """What is behind the path: a file's bytes, a folder's entries, None if nothing may be seen."""
    try:
        with system_logs.opened(folder, asked) as (path, _):
            if path.is_dir():
                return b" ".join(sorted(os.fsencode(entry.name) for entry in os.scandir(path)))
            return path.read_bytes()
    except (OSError, ValueError):
        return None


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("a/file", b"of a", id="a file"),
        pytest.param("a/", b"b file", id="a folder"),
        pytest.param("inside", b"of a", id="a link that stays inside"),
        pytest.param("absolute", b"of a", id="one with an absolute path, as those of containers are"),
        pytest.param("a/../a/file", b"of a", id="up and down again"),
        pytest.param("outfile", None, id="a link out"),
        pytest.param("out/secret", None, id="by a link to the folder above"),
        pytest.param("../secret", None, id="up"),
        pytest.param("/etc/passwd", None, id="an absolute path"),
        pytest.param("loop", None, id="a link to itself"),
        pytest.param("a\0b", None, id="a null byte"),
        pytest.param("x" * 5000, None, id="a name that is too long"),
    ],
)
def test_only_what_is_inside_is_found(folder: Path, asked: str, found: bytes | None) -> None:
    assert read(folder, asked) == found


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PARTS) | st.text(string.printable, max_size=4), max_size=8).map("/".join))
def test_no_path_leads_out(folder: Path, asked: str) -> None:
    got = read(folder, asked) or b""
    assert SECRET not in got
    assert b"secret" not in got


def test_a_folder_that_becomes_a_link_while_it_is_opened_leads_nowhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between finding out where a path leads and opening it, a Pod puts a link in its place."""
    victim = folder / "victim"
    victim.mkdir()
    (victim / "secret").write_text("harmless")
    realpath = os.path.realpath

    def swapped(path: Path, *, strict: bool) -> str:
        found = realpath(path, strict=strict)
        if found.endswith("/victim/secret"):
            (victim / "secret").unlink()
            victim.rmdir()
            victim.symlink_to("..")
        return found

    monkeypatch.setattr(os.path, "realpath", swapped)
    assert read(folder, "victim/secret") is None
