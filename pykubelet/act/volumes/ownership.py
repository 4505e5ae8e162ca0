"""Gives a volume to the Pod's fsGroup. Source: pkg/volume/volume_linux.go.

A volume that is there may not be the group's yet: giving can fail, or be cut short by our end. So it is written down
that a volume is to be given before it is there, and struck out once it is given. The other way round, a note of what
was given, would have volumes that an older version or a genuine kubelet made given again under running Pods, whose own
modes (a private key's 0600) that would undo. Those have no note, and are left as they are.
"""

import os
import stat
from pathlib import Path

from pykubelet.model.pod import Pod

_WRITABLE, _READABLE, _SEARCHABLE = 0o660, 0o440, 0o110


def intend(folder: Path, pod: Pod) -> None:
    """Write down that a volume that is about to be made for the Pod is to be given to its group, if it has one.

    `folder` is the volume's: `<pod>/volumes/<plugin>/<name>`.
    """
    if pod.spec.security_context.fs_group is not None:
        note = _note(folder)
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        note.touch()


def is_due(folder: Path) -> bool:
    """Whether it was written down, and not done since."""
    return _note(folder).exists()


def give(folder: Path, root: Path, pod: Pod) -> None:
    """Do what was written down for a folder to its volume, which is at `root`. OSError leaves it due."""
    if is_due(folder):
        apply(root, pod, read_only=False)
        _note(folder).unlink()


def _note(folder: Path) -> Path:
    pod = folder.parent.parent.parent
    return pod / "plugins" / folder.parent.name / folder.name / "to-be-given"


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
