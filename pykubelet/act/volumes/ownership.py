"""Gives a volume to the Pod's fsGroup. Source: pkg/volume/volume_linux.go."""

import os
import stat
from pathlib import Path

from pykubelet.model.pod import Pod

_WRITABLE, _READABLE, _SEARCHABLE = 0o660, 0o440, 0o110


def apply(root: Path, pod: Pod, *, read_only: bool) -> None:
    """Let the Pod's fsGroup own and use everything in the volume; new files inherit the group. Nothing without one.

    With fsGroupChangePolicy OnRootMismatch a volume whose root is right already is left alone.
    """
    group = pod.spec.security_context.fs_group
    if group is None:
        return
    policy = pod.spec.security_context.fs_group_change_policy
    if policy == "OnRootMismatch" and _is_right(root, group, read_only=read_only):
        return
    # By descriptors: a Pod that has the volume too could swap a step of a path for a link out of it.
    for _, folders, names, folder in os.fwalk(root, topdown=False):
        for name in (*names, *folders):
            _give(name, folder, group=group, read_only=read_only)
    _give(str(root), None, group=group, read_only=read_only)


def _is_right(root: Path, group: int, *, read_only: bool) -> bool:
    found = root.stat()
    wanted = (_READABLE if read_only else _WRITABLE) | _SEARCHABLE | stat.S_ISGID
    return found.st_gid == group and found.st_mode & wanted == wanted


def _give(name: str, folder: int | None, *, group: int, read_only: bool) -> None:
    try:
        found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return
    try:
        os.chown(name, -1, group, dir_fd=folder, follow_symlinks=False)
        old = os.fstat(found).st_mode
        if stat.S_ISLNK(old):
            return
        mode = stat.S_IMODE(old) | (_READABLE if read_only else _WRITABLE)
        if stat.S_ISDIR(old):
            mode |= stat.S_ISGID | _SEARCHABLE
        # A descriptor of this kind can only be changed by its name in /proc.
        os.chmod(f"/proc/self/fd/{found}", mode)
    finally:
        os.close(found)
