"""Changes all files of a volume at once, as readers see it, by swapping one symlink.

    a -> ..data/a        ..data -> ..2026_11_24_10_15_01.123456        ..2026_11_24_10_15_01.123456/a

The layout is the genuine kubelet's (pkg/volume/util/atomic_writer.go): applications watch `..data`, and either kubelet
can go on with what the other wrote.
"""

import os
import shutil
import stat
import time
from collections.abc import Mapping
from pathlib import Path

from pykubelet.decide.volume_content import File

_DATA, _NEW = "..data", "..data_tmp"


def write(folder: Path, files: Mapping[str, File], *, gid: int | None = None) -> bool:
    """Make the folder hold exactly these files; False if it did already. OSError leaves the old ones in place.

    A `gid` owns the files, may read them, and is passed on by folders (setgid).
    """
    before = _current(folder)
    if before is not None and _same(before, files):
        _link(folder, files)
        return False
    if gid is not None and before is None:
        _own(folder, stat.S_IMODE(folder.stat().st_mode) | 0o550, None, gid)
    fresh = _fresh_folder(folder, gid)
    try:
        for path, file in files.items():
            _write_file(fresh, path, file, gid=gid)
        _link(folder, files)
        new = folder / _NEW
        new.unlink(missing_ok=True)
        new.symlink_to(fresh.name)
        new.rename(folder / _DATA)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    _unlink_stale(folder, files)
    if before is not None and before != fresh:
        shutil.rmtree(before, ignore_errors=True)
    return True


def _current(folder: Path) -> Path | None:
    """The folder `..data` names; None if there is none, or it names anything that is not ours to read and remove."""
    try:
        name = os.readlink(folder / _DATA)
    except OSError:
        return None
    current = folder / name
    ours = "/" not in name and name.startswith("..") and name not in ("..", _DATA, _NEW)
    return current if ours and current.is_dir() and not current.is_symlink() else None


def _same(current: Path, files: Mapping[str, File]) -> bool:
    found = {str(path.relative_to(current)) for path in current.rglob("*") if not path.is_dir()}
    if found != files.keys():
        return False
    try:
        return all((current / path).read_bytes() == file.data for path, file in files.items())
    except OSError:
        return False


def _fresh_folder(folder: Path, gid: int | None) -> Path:
    now = time.time_ns()
    stamp = time.strftime("..%Y_%m_%d_%H_%M_%S", time.gmtime(now // 1_000_000_000))
    fresh = folder / f"{stamp}.{now % 1_000_000_000:09d}"
    fresh.mkdir()
    _own(fresh, 0o755, None, gid)
    return fresh


def _write_file(root: Path, path: str, file: File, *, gid: int | None) -> None:
    target = root / path
    for parent in reversed(target.relative_to(root).parents[:-1]):
        inner = root / parent
        if not inner.is_dir():
            inner.mkdir()
            _own(inner, 0o755, None, gid)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as out:
        out.write(file.data)
    _own(target, file.mode | (0o440 if gid is not None else 0), file.uid, gid)


def _own(path: Path, mode: int, uid: int | None, gid: int | None) -> None:
    if uid is not None or gid is not None:
        os.chown(path, -1 if uid is None else uid, -1 if gid is None else gid)
    # After chown, which clears the setgid bit.
    path.chmod(mode | (0o2000 if gid is not None and path.is_dir() else 0))


def _link(folder: Path, files: Mapping[str, File]) -> None:
    for name in {path.split("/", 1)[0] for path in files}:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")


def _unlink_stale(folder: Path, files: Mapping[str, File]) -> None:
    wanted = {path.split("/", 1)[0] for path in files}
    for entry in os.scandir(folder):
        if entry.is_symlink() and entry.name not in wanted and not entry.name.startswith(".."):
            os.unlink(entry.path)
