"""Writes a file whole or not at all: beside its place first, then in its place, so that no reader finds half of it."""

import os
from pathlib import Path


def write(path: Path, data: bytes, *, mode: int, flush: bool = False, via: str | None = None) -> None:
    """Make the file hold exactly `data`. Whoever opens it finds the bytes before or these, never a part of them.

    `mode` (less the umask) is that of the bytes from their first moment, whatever the file's was before. Until they are
    whole they are in `via`, a name in the same folder that its readers must pass over: `<name>.new` unless said
    otherwise. `path` has one writer at a time, and its folder is there.

    With `flush` the bytes are on the disk before they are in their place: after a power cut the file is the old or the
    new one. Without, it may be empty then: for what can be told to be torn, and had again.

    OSError leaves the file as it was, and so does a crash. Either may leave `via`, in `mode`, with a part of the bytes
    or all; the next write removes it, and never writes into what somebody else may have open.
    """
    beside = path.with_name(f"{path.name}.new" if via is None else via)
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        if flush:
            file.flush()
            os.fsync(file.fileno())
    beside.replace(path)
