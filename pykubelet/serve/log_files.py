"""A container's log files on disk: the rotated ones, where the last N lines begin, and reading as they grow.

Reads are of 32 KiB with a turn of the loop between them, so that a long log holds nobody up.
"""

import asyncio
import contextlib
import datetime as dt
import gzip
import io
import logging
import os
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from nodekit.aio import inotify
from pykubelet.serve import log_format

BLOCK = 32 * 1024
CHECK = 1.0
"""Seconds after which a followed container is asked whether it still runs; logForceCheckPeriod in the genuine one."""
CLOCK_GRAIN: Final = 1.0
"""Seconds by which a file's time may be before that of its last line: the kernel's clock for files ticks coarsely."""

PACKED, UNFINISHED = ".gz", ".tmp"

log = logging.getLogger(__name__)


class Part(NamedTuple):
    """A rotated file to read, without its first `start` bytes (unpacked) or its first `lines` lines of output."""

    path: Path
    start: int = 0
    lines: int = 0


class Chosen(NamedTuple):
    """The rotated files to read, oldest first, and after them the log itself, open at the place to read from."""

    older: list[Part]
    current: BinaryIO


def rotated(path: Path) -> list[Path]:
    """The files that rotation made of `path`, oldest first: `0.log.20261124-101500`, the older ones with `.gz`.

    While one is packed both its forms are there for a moment: the packed one is given.
    """
    found = {p.name: p for p in path.parent.glob(f"{path.name}.*") if p.suffix != UNFINISHED}
    return [found[name] for name in sorted(found) if f"{name}{PACKED}" not in found]


def opened(path: Path) -> io.BufferedReader | gzip.GzipFile:
    """A rotated file, unpacked as it is read; its packed form if it has been packed meanwhile."""
    if path.suffix == PACKED:
        return gzip.open(path)
    try:
        return path.open("rb")
    except FileNotFoundError:
        return gzip.open(path.with_name(f"{path.name}{PACKED}"))


async def unpacked(path: Path) -> AsyncGenerator[bytes, None]:
    """A rotated file's bytes: none if rotation has removed it, and as far as can be read if it is damaged."""
    try:
        with opened(path) as file:
            # One read of the file for each block: of a file that breaks off nothing is lost but what is missing.
            while data := file.read1(BLOCK):
                yield data
                await asyncio.sleep(0)
    except FileNotFoundError:
        return
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        log.warning("%s is damaged, and read up to there: %s", path, error)


def _ends(line: bytes) -> bool:
    """Whether a line of the file, with its line end, ends a line of the container's output."""
    parsed = log_format.parse(line)
    return line.endswith(b"\n") and (parsed is None or parsed.ends)


async def _count(path: Path) -> int:
    """How many lines of the container's output end in a rotated file."""
    found, cut = 0, b""
    async with contextlib.aclosing(unpacked(path)) as blocks:
        async for block in blocks:
            *whole, cut = (cut + block).split(b"\n")
            found += sum(_ends(line + b"\n") for line in whole)
    return found


async def _read(part: Part) -> AsyncGenerator[bytes, None]:
    """What is wanted of a rotated file; a last line that breaks off is ended, as the next file goes on anew."""
    start, lines, cut, last = part.start, part.lines, b"", b"\n"
    async with contextlib.aclosing(unpacked(part.path)) as blocks:
        async for block in blocks:
            passed = min(start, len(block))
            start -= passed
            data, position = cut + block[passed:], 0
            while lines and (after := data.find(b"\n", position) + 1):
                lines -= _ends(data[position:after])
                position = after
            cut = data[position:] if lines else b""
            if not lines and position < len(data):
                last = data[-1:]
                yield data[position:]
    if last != b"\n":
        yield b"\n"


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
            if _ends(line):
                found += 1
                if found > lines:
                    return offset, 0
            offset -= len(line)
        await asyncio.sleep(0)
    return 0, lines - found


async def chosen(path: Path, lines: int | None, *, since: dt.datetime | None = None) -> Chosen:
    """What to read for the last `lines` lines; the caller closes `current`. Raises OSError if there is no log.

    Rotated files whose lines are all from before `since` are left out.
    """
    current: BinaryIO = path.open("rb")
    try:
        older: list[Part] = []
        missing = lines
        if lines is not None:
            start, missing = await tail(current, lines)
            current.seek(start)
        for one in reversed(rotated(path)):
            if missing == 0:
                break
            if not _matters(one, current, since=since):
                continue
            part, missing = await _part(one, missing)
            older.insert(0, part)
    except BaseException:
        current.close()
        raise
    return Chosen(older, current)


def _matters(path: Path, current: BinaryIO, *, since: dt.datetime | None) -> bool:
    """Not if it is too old, nor if it is `current`, renamed after it was opened."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return True  # it may have been packed just now
    too_old = since is not None and found.st_mtime + CLOCK_GRAIN < since.timestamp()
    return not too_old and not os.path.samestat(found, os.fstat(current.fileno()))


async def _part(path: Path, lines: int | None) -> tuple[Part, int | None]:
    """What to read of a rotated file for its last `lines` lines, and how many are missing in it."""
    if lines is None:
        return Part(path), None
    if path.suffix != PACKED:
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            start, missing = await tail(file, lines)
            return Part(path, start=start), missing
    # It cannot be read backwards, and to remember where its lines begin takes as much memory as a client asks for.
    found = await _count(path)
    return Part(path, lines=max(found - lines, 0)), max(lines - found, 0)


async def stored(files: Chosen) -> AsyncGenerator[bytes, None]:
    """What the files hold now, without what is written while it is read; one rotated file is open at a time."""
    current = files.current
    size = os.fstat(current.fileno()).st_size
    for part in files.older:
        async with contextlib.aclosing(_read(part)) as blocks:
            async for block in blocks:
                yield block
    while data := current.read(min(BLOCK, max(size - current.tell(), 0))):
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
