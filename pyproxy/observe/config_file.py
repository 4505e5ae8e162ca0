"""Notices when the configuration file has another content, however it got there: written, renamed or a new symlink."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

_PERIOD: Final = 2.0


async def changed(path: Path, readable: Callable[[Path], bool]) -> None:
    """Wait until the file's content differs from now and is `readable`; asked once for each content."""
    now = _digest(path)
    while True:
        await asyncio.sleep(_PERIOD)
        found = _digest(path)
        if found is not None and found != now:
            now = found
            if readable(path):
                return


def _digest(path: Path) -> bytes | None:
    """None while the file can't be read: it may just be being replaced."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return None
