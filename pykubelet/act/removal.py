"""Removes folders of Pods without ever going into something that is mounted in them.

Source: pkg/util/removeall (RemoveAllOneFilesystem): what is mounted is somebody's data, a local disk's for instance.
"""

import errno
import os
from pathlib import Path
from typing import NamedTuple

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Place(NamedTuple):
    """Two bind mounts of one file system have the same device, but not the same id."""

    mount_id: bytes
    device: int


def remove_tree(root: Path) -> None:
    """Remove a folder and what is in it, following no links; nothing there is no error.

    OSError at the first place where something is mounted, which is left as it is. What cannot be removed for another
    reason stays too, but is no error.
    """
    try:
        parent = os.open(root.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        _remove(root, parent, _place(parent))
    finally:
        os.close(parent)


def _remove(path: Path, parent: int, place: _Place) -> None:
    """By descriptors: neither a link nor a mount that appears meanwhile leads elsewhere."""
    try:
        folder = os.open(path.name, _FOLDER, dir_fd=parent)
    except OSError as error:
        _unless_mounted(error, path)
        return
    try:
        if _place(folder) != place:
            raise _mounted(path)
        with os.scandir(folder) as found:
            entries = list(found)
        for entry in entries:
            inside = path / entry.name
            if entry.is_dir(follow_symlinks=False):
                _remove(inside, folder, place)
            else:
                try:
                    os.unlink(entry.name, dir_fd=folder)
                except OSError as error:
                    _unless_mounted(error, inside)
    finally:
        os.close(folder)
    try:
        os.rmdir(path.name, dir_fd=parent)
    except OSError as error:
        _unless_mounted(error, path)


def _place(folder: int) -> _Place:
    with open(f"/proc/self/fdinfo/{folder}", "rb") as file:
        fields = dict(line.split(b":", 1) for line in file if b":" in line)
    return _Place(fields[b"mnt_id"].strip(), os.fstat(folder).st_dev)


def _unless_mounted(error: OSError, path: Path) -> None:
    if error.errno == errno.EBUSY:
        raise _mounted(path) from error


def _mounted(path: Path) -> OSError:
    return OSError(f"{path} is still mounted: it is not removed")
