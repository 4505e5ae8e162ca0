"""Gives a volume to the Pod's fsGroup. Source: pkg/volume/volume_linux.go."""

import contextlib
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
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            _give(os.path.join(folder, name), group, read_only=read_only)
        _give(folder, group, read_only=read_only)


def _is_right(root: Path, group: int, *, read_only: bool) -> bool:
    found = root.stat()
    wanted = (_READABLE if read_only else _WRITABLE) | _SEARCHABLE | stat.S_ISGID
    return found.st_gid == group and found.st_mode & wanted == wanted


def _give(path: str, group: int, *, read_only: bool) -> None:
    with contextlib.suppress(FileNotFoundError):
        found = os.lstat(path)
        os.lchown(path, -1, group)
        if stat.S_ISLNK(found.st_mode):
            return
        mode = stat.S_IMODE(found.st_mode) | (_READABLE if read_only else _WRITABLE)
        if stat.S_ISDIR(found.st_mode):
            mode |= stat.S_ISGID | _SEARCHABLE
        os.chmod(path, mode)
