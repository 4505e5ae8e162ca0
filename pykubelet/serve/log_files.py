"""A container's log files on disk: the rotated ones, where the last N lines begin, and reading as they grow.

Reads are of 32 KiB with a turn of the loop between them, so that a long log holds nobody up.
"""

import asyncio
import gzip
import io
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

from nodekit.aio import inotify
from pykubelet.serve import log_format

BLOCK = 32 * 1024
CHECK = 1.0
"""Seconds after which a followed container is asked whether it still runs; logForceCheckPeriod in the genuine one."""


def rotated(path: Path) -> list[Path]:
    """The files that rotation made of `path`, oldest first: `0.log.20261124-101500`, the older ones with `.gz`."""
    return sorted(p for p in path.parent.glob(f"{path.name}.*") if p.suffix != ".tmp")


def opened(path: Path) -> BinaryIO:
    """A compressed file is read into memory: rotation keeps it small."""
    if path.suffix != ".gz":
        return path.open("rb")
    with gzip.open(path) as packed:
        return io.BytesIO(packed.read())


async def tail(file: BinaryIO, lines: int) -> tuple[int, int]:
    """Where the last `lines` lines of the container's output begin in the file, and how many are missing in it."""
    position = file.seek(0, os.SEEK_END)
    found, cut = 0, b""
    while position > 0:
        size = min(BLOCK, position)
        position -= size
        file.seek(position)
        block = file.read(size) + cut
        first = block.find(b"\n") + 1 if position else 0
        cut, offset = block[:first], position + len(block)
        for line in reversed(block[first:].splitlines(keepends=True)):
            parsed = log_format.parse(line)
            if line.endswith(b"\n") and (parsed is None or parsed.ends):
                found += 1
                if found > lines:
                    return offset, 0
            offset -= len(line)
        await asyncio.sleep(0)
    return 0, lines - found


async def chosen(path: Path, lines: int | None) -> list[BinaryIO]:
    """The files to read, oldest first, each at the place to read from; the last one is `path` itself."""
    current: BinaryIO = path.open("rb")
    files = [current]
    try:
        missing = lines
        if lines is not None:
            start, missing = await tail(current, lines)
            current.seek(start)
        for older in reversed(rotated(path)):
            if missing == 0:
                break
            file = opened(older)
            files.insert(0, file)
            if missing is not None:
                start, missing = await tail(file, missing)
                file.seek(start)
    except BaseException:
        for file in files:
            file.close()
        raise
    return files


async def stored(files: list[BinaryIO]) -> AsyncGenerator[bytes, None]:
    """What the files hold now, without what is written while it is read."""
    size = os.fstat(files[-1].fileno()).st_size
    for file in files:
        end = size if file is files[-1] else None
        while end is None or file.tell() < end:
            data = file.read(BLOCK if end is None else min(BLOCK, end - file.tell()))
            if not data:
                break
            yield data
            await asyncio.sleep(0)


async def growing(path: Path, file: BinaryIO, *, runs: Callable[[], Awaitable[bool]]) -> AsyncGenerator[bytes, None]:
    """What is written to the log from `file`'s place on, over rotations, until the container does not run any more."""
    current: BinaryIO = file
    with inotify.FolderWatch(path.parent) as watch:
        running = True
        while True:
            quiet = True
            while data := current.read(BLOCK):
                yield data
                quiet = False
                await asyncio.sleep(0)
            if newer := reopened(path, current):
                if current is not file:
                    current.close()
                current = newer
                continue
            if not running:
                break
            if quiet:  # something happened that was no output, or nothing for a while: has it ended?
                running = await runs()
                if not running:
                    continue
            await watch.changes(timeout=CHECK)
    if current is not file:
        current.close()


def reopened(path: Path, current: BinaryIO) -> BinaryIO | None:
    """The file that stands at `path` now, if it is another one than `current`."""
    try:
        if os.path.samestat(path.stat(), os.fstat(current.fileno())):
            return None
        return path.open("rb")
    except FileNotFoundError:
        return None
