"""Whether files are still the ones that were read."""

from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """A file's last change in nanoseconds, its inode and size; all zero if there is none."""

    changed: int = 0
    inode: int = 0
    size: int = 0


def of(path: Path) -> Stamp:
    """A link is followed, so that one which is put somewhere else counts as a change."""
    try:
        found = path.stat()
    except OSError:
        return Stamp()
    return Stamp(found.st_mtime_ns, found.st_ino, found.st_size)
