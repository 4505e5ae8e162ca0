"""Removes what Pods that nobody knows any more left here: folders, mounts, cgroups, links to logs, what was kept."""

import dataclasses
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from nodekit.aio.clock import Clock
from nodekit.kube.shelf import Shelves
from pykubelet import meters
from pykubelet.act.cgroups import Cgroups
from pykubelet.act.files import PodFiles
from pykubelet.act.volumes import VolumeManager
from pykubelet.errors import PodError
from pykubelet.model.ids import Uid

T = TypeVar("T")
PERIOD: Final = 30.0

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """Where Pods' logs are (`<namespace>_<name>_<uid>` each), and where the links to them."""

    logs: Path
    log_links: Path


class Housekeeping:
    """Run it as a task once all sources of Pods are known. `known(uid)`: is it wanted, seen or worked on.

    A Pod counts as unknown only when it was so at two looks, so that none is caught between two states.
    """

    def __init__(
        self,
        volumes: VolumeManager,
        files: PodFiles,
        cgroups: Cgroups,
        shelves: Shelves,
        *,
        known: Callable[[Uid], bool],
        places: Places,
        clock: Clock,
    ) -> None:
        self._volumes = volumes
        self._files = files
        self._cgroups = cgroups
        self._shelves = shelves
        self._known = known
        self._places = places
        self._clock = clock
        self._suspects: set[Uid] = set()

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self.sweep()
            await self._clock.sleep(PERIOD)

    async def sweep(self) -> None:
        """Look once, and remove what was unknown at the last look too."""
        paths = _looked(self._cgroups.pods, "cgroups") or {}
        logs = {Uid(folder.name.rpartition("_")[2]): folder for folder in _folders(self._places.logs)}
        folders = _looked(self._files.known, "folders") or []
        unknown = {uid for uid in {*paths, *logs, *folders} if not self._known(uid)}
        cleaned, failed = 0, 0
        for uid in unknown & self._suspects:
            log.info("what Pod %s left here is removed", uid)
            try:
                if uid in paths:
                    await self._cgroups.remove(paths[uid])
                await self._volumes.remove(uid)
                self._files.remove(uid)
                if uid in logs:
                    shutil.rmtree(logs[uid])
                cleaned += 1
            except (OSError, PodError) as error:
                failed += 1
                log.warning("what Pod %s left here stays for now: %s", uid, error)
        await self._volumes.sweep()
        meters.orphans_cleaned.set(cleaned)
        meters.orphans_not_cleaned.set(failed)
        self._suspects = unknown
        _looked(self._shelves.sweep, "kept state")
        unlink_dangling(self._places.log_links)


def _looked(look: Callable[[], T], what: str) -> T | None:
    """What there is to see; None if it cannot be looked at now."""
    try:
        return look()
    except OSError as error:
        log.warning("the %s of Pods cannot be looked at now: %s", what, error)
        return None


def _folders(root: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def unlink_dangling(folder: Path) -> None:
    """Remove the links to container logs that are gone."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_symlink() and not os.path.exists(entry.path):
            try:
                os.unlink(entry.path)
            except OSError as error:
                log.warning("the link %s to a log that is gone stays for now: %s", entry.path, error)
