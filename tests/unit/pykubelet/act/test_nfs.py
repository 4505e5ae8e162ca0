"""NFS volumes, with a `mount` on the PATH that only tells what it was asked for."""

import asyncio
import os
import select
from pathlib import Path

import pytest

from pykubelet.act.volumes import nfs
from pykubelet.act.volumes.kinds import VolumeError
from pykubelet.model.volume import NFSSource


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the words of the last `mount`; what stands in `does` is run by it."""
    (tmp_path / "mount").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/told\n. {tmp_path}/does\n')
    (tmp_path / "mount").chmod(0o755)
    (tmp_path / "does").write_text("true\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "told"


@pytest.mark.parametrize(
    ("server", "options", "expected"),
    [
        pytest.param("198.18.0.1", (), "-t nfs 198.18.0.1:/export", id="an address"),
        pytest.param("files.test", ("ro",), "-t nfs -o ro files.test:/export", id="a name, read-only"),
        pytest.param("fd00::1", ("b", "a", "b"), "-t nfs -o a,b [fd00::1]:/export", id="IPv6, each option once"),
    ],
)
async def test_what_mount_is_asked_for(
    tmp_path: Path, told: Path, server: str, options: tuple[str, ...], expected: str
) -> None:
    await nfs.have(NFSSource(server=server, path="/export"), tmp_path / "a/b", options)
    assert told.read_text().strip() == f"{expected} {tmp_path}/a/b"


async def test_what_mount_said_is_the_reason(tmp_path: Path, told: Path) -> None:
    (tmp_path / "does").write_text("echo mount.nfs: refused >&2; exit 32\n")
    with pytest.raises(VolumeError) as error:
        await nfs.have(NFSSource(server="s", path="/e"), tmp_path / "at", ())
    assert str(error.value) == (
        f"mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs s:/e {tmp_path}/at\n"
        "Output: mount.nfs: refused\n"
    )
    assert not (tmp_path / "at").exists()


async def test_nothing_mounts_any_more_once_it_is_called_off(tmp_path: Path, told: Path) -> None:
    os.mkfifo(tmp_path / "begun")
    (tmp_path / "does").write_text(f"sleep 1000 &\necho $! > {tmp_path}/begun\nwait\n")
    trying = asyncio.create_task(nfs.have(NFSSource(server="s", path="/e"), tmp_path / "at", ()))
    helper = int(await asyncio.to_thread((tmp_path / "begun").read_text))
    ended = os.pidfd_open(helper)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    readable, _, _ = await asyncio.to_thread(select.select, [ended], [], [], 10)
    os.close(ended)
    assert readable
