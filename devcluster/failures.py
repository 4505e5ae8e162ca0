"""What a person is told of a failure that no step foresaw: what, where, and what to do."""

from __future__ import annotations

import errno

from devcluster import kube, layout
from devcluster.errors import DevClusterError

_AGAIN = "run the same command again"


def of(command: str, error: Exception) -> DevClusterError:
    """The error to report for a command such as `node remove`, with the notes of the original."""
    if isinstance(error, DevClusterError):
        return error
    why, hint = _told(error)
    failure = DevClusterError(command, why, hint=hint)
    for note in getattr(error, "__notes__", ()):
        failure.add_note(note)
    return failure


def no_room(error: BaseException) -> bool:
    """Whether a file could not be written since its disk, or its owner's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def full_disk(what: str, place: str) -> DevClusterError:
    """`place` names the file or folder for which there is no room."""
    return DevClusterError(what, f"the disk is full: no room for {place}", hint=_make_room())


def _told(error: Exception) -> tuple[str, str]:
    if isinstance(error, kube.ApiError):
        return f"the API server refused it: {error}", "`make logs ARGS=kube-apiserver` tells more"
    if isinstance(error, kube.UnreachableError):
        hint = f"`make status` says what runs, `make up` starts what has ended; then {_AGAIN}"
        return f"the API server can't be reached: {error}", hint
    if no_room(error):
        return f"the disk is full: {error}", _make_room()
    return str(error) or type(error).__name__, f"mend what it names, then {_AGAIN}"


def _make_room() -> str:
    return f"make room where `df -h {layout.state_home()} {layout.cache_home()}` shows none, then {_AGAIN}"
