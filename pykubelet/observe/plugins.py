"""Finds the plugins of the node by their sockets in a folder, and keeps those that serve storage.

Source: pkg/kubelet/pluginmanager; the folder is `<root>/plugins_registry`.
"""

import dataclasses
import logging
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from nodekit.aio import inotify
from pykubelet.model.csi import NodeInfo
from pykubelet.plugins import errors, registration
from pykubelet.plugins.csi import Driver

PERIOD: Final = 10.0
SOON: Final = 1.0
_CSI: Final = "CSIPlugin"

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Registered:
    """A storage driver and how it knows this node. `socket` is where it was found."""

    driver: Driver
    info: NodeInfo
    socket: Path


class Plugins:
    """Run it as a task."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._callbacks: list[Callable[[], None]] = []
        self._seen: dict[Path, tuple[int, int]] = {}
        self._here: frozenset[Path] = frozenset()
        self._drivers: dict[str, Registered] = {}
        self.gone: set[str] = set()
        """Drivers that were here since we started, and are not any more."""

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Be told when a driver came or went."""
        self._callbacks.append(callback)

    def driver(self, name: str) -> Driver | None:
        """The driver of that name, if it has registered."""
        found = self._drivers.get(name)
        return found.driver if found else None

    def nodes(self) -> dict[str, NodeInfo]:
        """How each driver knows this node, by the driver's name."""
        return {name: found.info for name, found in self._drivers.items()}

    def sockets(self) -> tuple[frozenset[str], frozenset[str]]:
        """The paths of the sockets that are there, and of those whose plugin has registered."""
        registered = frozenset(str(found.socket) for found in self._drivers.values())
        return frozenset(str(path) for path in self._here), registered

    async def run(self) -> None:
        """Look until cancelled."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        with inotify.FolderWatch(self._folder) as watch:
            while True:
                complete = await self._look()
                await watch.changes(timeout=PERIOD if complete else SOON)

    async def _look(self) -> bool:
        """False if a plugin that is there did not answer, and is to be asked again soon."""
        here = dict(self._sockets())
        self._here = frozenset(here)
        for socket in [socket for socket, identity in self._seen.items() if here.get(socket) != identity]:
            del self._seen[socket]
            if socket not in here:
                await self._lost(socket)
        complete = True
        for socket, identity in here.items():
            if socket not in self._seen:
                if await self._met(socket):
                    self._seen[socket] = identity
                else:
                    complete = False
        return complete

    def _sockets(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        for path in self._folder.rglob("*"):
            try:
                found = path.lstat()
            except OSError:
                continue
            if stat.S_ISSOCK(found.st_mode) and not path.name.startswith("."):
                yield path, (found.st_ino, found.st_mtime_ns)

    async def _met(self, socket: Path) -> bool:
        try:
            plugin = await registration.ask(str(socket))
            refusal = await self._register(plugin, socket)
            await registration.tell(str(socket), refusal)
        except errors.PluginError as error:
            log.warning("the plugin at %s is not registered: %s", socket, error)
            return False
        if refusal:
            log.warning("the plugin at %s is refused: %s", socket, refusal)
        return True

    async def _register(self, plugin: registration.Introduction, socket: Path) -> str:
        """Why it is refused; empty if it is not."""
        if plugin.kind != _CSI:
            return f"no handler registered for plugin type: {plugin.kind} at socket {socket}"
        if not any(version.lstrip("v").startswith("1.") for version in plugin.versions):
            return f"none of the versions {list(plugin.versions)} of CSI driver {plugin.name} are supported"
        driver = Driver(plugin.name, plugin.endpoint)
        try:
            info = await driver.info()
        except errors.PluginError:
            await driver.close()
            raise
        before = self._drivers.get(plugin.name)
        self._drivers[plugin.name] = Registered(driver, info, socket)
        self.gone.discard(plugin.name)
        if before is not None:
            await before.driver.close()
        log.info("CSI driver %s registered, node id %s", plugin.name, info.node_id)
        self._changed()
        return ""

    def _changed(self) -> None:
        for callback in self._callbacks:
            callback()

    async def _lost(self, socket: Path) -> None:
        for name, found in list(self._drivers.items()):
            if found.socket == socket:
                del self._drivers[name]
                self.gone.add(name)
                await found.driver.close()
                log.info("CSI driver %s is gone", name)
                self._changed()
