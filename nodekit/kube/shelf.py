"""What the API server said last, kept on disk: a node that starts while no server answers goes on from there.

A file holds all objects of one mirror. It is written whole, a moment after a change, beside the old one and then in its
place. Files are readable by their owner alone, as they may hold Secrets.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from nodekit import whole_file
from nodekit.objects import codec
from nodekit.objects.meta import Key

V = TypeVar("V")

DELAY: Final = 1.0
"""Seconds from a change to the writing of it, so that a burst of changes is written once."""

log = logging.getLogger(__name__)


class Shelf(Generic[V]):
    """One file. Got from `Shelves.of`; nothing here is read or written before it is asked for."""

    def __init__(self, shelves: "Shelves", path: Path, kind: type[V]) -> None:
        self.path = path
        self._shelves = shelves
        self._kind = kind
        self._items: Callable[[], Mapping[Key, V]] = dict

    def load(self) -> dict[Key, V] | None:
        """What was written last; None if nothing was, or it cannot be read."""
        try:
            body = self.path.read_bytes()
            rows: list[tuple[str, str, V]] = codec.decode(list[tuple[str, str, self._kind]], body)  # type: ignore[name-defined]
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.error("%s is left aside, as it cannot be read: %s", self.path, error)
            return None
        return {Key(namespace, name): item for namespace, name, item in rows}

    def keep(self, items: Callable[[], Mapping[Key, V]]) -> None:
        """Have these written soon; they are asked for when it is done."""
        self._items = items
        self._shelves.wake(self)

    def body(self) -> bytes:
        """What is to be in the file now."""
        return codec.encode([(key.namespace, key.name, item) for key, item in self._items().items()])

    def remove(self) -> None:
        """Nobody needs this any more."""
        self._shelves.forget(self)


class Shelves:
    """All files, below one folder. Run it as a task; a last time it writes when it is cancelled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Path, Shelf[Any]] = {}
        self._changed: dict[Path, Shelf[Any]] = {}
        self._woken = asyncio.Event()
        self._suspects: set[Path] = set()

    def of(self, name: str, kind: type[V]) -> Shelf[V]:
        """The file of this name, which may have slashes."""
        path = self._folder / f"{name}.json"
        made = self._open[path] = Shelf(self, path, kind)
        return made

    def wake(self, shelf: Shelf[Any]) -> None:
        """A file is to be written."""
        if self._open.get(shelf.path) is shelf:
            self._changed[shelf.path] = shelf
            self._woken.set()

    def forget(self, shelf: Shelf[Any]) -> None:
        """A file is to be removed, unless somebody has taken it anew."""
        if self._open.get(shelf.path) is shelf:
            del self._open[shelf.path]
            self._changed.pop(shelf.path, None)
            with contextlib.suppress(OSError):
                shelf.path.unlink()

    async def run(self) -> None:
        """Write until cancelled."""
        try:
            while True:
                await self._woken.wait()
                await asyncio.sleep(DELAY)
                self._woken.clear()
                await self.flush()
        finally:
            _write(self._bodies())

    async def flush(self) -> None:
        """Write what has changed."""
        await asyncio.to_thread(_write, self._bodies())

    def sweep(self) -> None:
        """Remove the files that nobody has asked for since we started, if it was so at the last look too."""
        unknown = {path for path in self._folder.rglob("*.json") if path not in self._open}
        for path in unknown & self._suspects:
            with contextlib.suppress(OSError):
                path.unlink()
        self._suspects = unknown

    def _bodies(self) -> dict[Path, bytes]:
        changed, self._changed = self._changed, {}
        return {path: shelf.body() for path, shelf in changed.items()}


def _write(bodies: Mapping[Path, bytes]) -> None:
    for path, body in bodies.items():
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            whole_file.write(path, body, mode=0o600, via=f"{path.stem}.part")
        except OSError as error:
            log.warning("%s cannot be written: a start without API server would not know of it: %s", path, error)
