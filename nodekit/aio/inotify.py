"""Waiting for changes in a folder, by the kernel's inotify. No thread."""

import asyncio
import ctypes
import os
import struct
from pathlib import Path
from typing import Final

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED, _CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0xC0, 0x100, 0x200, 0x400, 0x800
_EVENTS: Final = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
_HEADER: Final = struct.Struct("iIII")
_libc: Final = ctypes.CDLL(None, use_errno=True)


class FolderWatch:
    """Tells that something in `folder` itself (not below it) changed: created, written, renamed, removed.

    Raises OSError if the folder is not there or the node's inotify limits (fs.inotify.max_user_*) are reached.
    To be closed, or used as a context manager, within the running loop that opened it.
    """

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1: see fs.inotify.max_user_instances", str(folder))
        if _libc.inotify_add_watch(self._fd, os.fsencode(folder), _EVENTS) < 0:
            number = ctypes.get_errno()
            os.close(self._fd)
            raise OSError(number, f"inotify_add_watch: {os.strerror(number)}", str(folder))
        self._names: set[str] = set()
        self._ready = asyncio.Event()
        self._loop.add_reader(self._fd, self._read)

    def __enter__(self) -> "FolderWatch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def changes(self, *, timeout: float | None = None) -> frozenset[str]:
        """The names that changed since the last call, waiting for the first; empty after `timeout` seconds.

        An empty name is the folder itself.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._ready.wait()
        except TimeoutError:
            return frozenset()
        names = frozenset(self._names)
        self._names.clear()
        self._ready.clear()
        return names

    def close(self) -> None:
        """May be repeated."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            _, _, _, length = _HEADER.unpack_from(data, offset)
            start = offset + _HEADER.size
            self._names.add(os.fsdecode(data[start : start + length].rstrip(b"\0")))
            offset = start + length
        self._ready.set()
