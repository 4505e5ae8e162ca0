"""Keeps logs of running containers small: renames a full one, has the runtime begin a new one, packs old ones.

Source: pkg/kubelet/logs/container_log_manager.go; names as there, so that either kubelet reads the other's.
"""

import asyncio
import datetime as dt
import gzip
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from nodekit.aio.clock import Clock
from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.model.observed import Container, ContainerState

STAMP: Final = "%Y%m%d-%H%M%S"
PACKED, UNFINISHED = ".gz", ".tmp"

log = logging.getLogger(__name__)


class LogRotation:
    """Run it as a task. `containers()` are those the runtime has; `most` counts the files of a container's log."""

    def __init__(
        self,
        runtime: runtime_api.ContainerCalls,
        *,
        containers: Callable[[], Iterable[Container]],
        largest: int,
        most: int,
        clock: Clock,
    ) -> None:
        self._runtime = runtime
        self._containers = containers
        self._largest = largest
        self._most = most
        self._clock = clock

    async def run(self, period: float) -> None:
        """Look every `period` seconds until cancelled."""
        while True:
            for container in list(self._containers()):
                if container.state is ContainerState.RUNNING and container.log_path:
                    await self._look(container)
            await self._clock.sleep(period)

    async def _look(self, container: Container) -> None:
        path = Path(container.log_path)
        size = _size(path)
        try:
            if size is None:
                await self._runtime.reopen_log(container.id)
            elif size >= self._largest:
                await self._rotate(container, path)
        except (OSError, cri_errors.CriError) as error:
            log.warning("the log of %s is not rotated: %s", container.id, error)

    async def _rotate(self, container: Container, path: Path) -> None:
        # The full one is still read by followers and agents, so it is packed only when the next one is full.
        for old in _prune(path, keep=max(self._most - 2, 0)):
            await asyncio.to_thread(_pack, old)
        rotated = path.with_name(f"{path.name}.{self._clock.now().astimezone(dt.UTC).strftime(STAMP)}")
        os.rename(path, rotated)
        try:
            await self._runtime.reopen_log(container.id)
        except cri_errors.CriError:
            # The container goes on writing to the renamed file: it gets its name back.
            os.rename(rotated, path)
            raise


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _prune(path: Path, *, keep: int) -> list[Path]:
    """Remove half-packed and superfluous files; the plain ones that stay and are to be packed."""
    found = sorted(path.parent.glob(f"{path.name}.*"))
    names = {file.name for file in found}
    good = []
    for file in found:
        if file.suffix == UNFINISHED or (file.suffix != PACKED and f"{file.name}{PACKED}" in names):
            file.unlink()
        else:
            good.append(file)
    for file in good[: max(len(good) - keep, 0)]:
        file.unlink()
    return [file for file in good[max(len(good) - keep, 0) :] if file.suffix != PACKED]


def _pack(path: Path) -> None:
    unfinished = path.with_name(f"{path.name}{UNFINISHED}")
    with path.open("rb") as plain, gzip.open(unfinished, "wb", compresslevel=6) as packed:
        shutil.copyfileobj(plain, packed)
    os.chmod(unfinished, path.stat().st_mode & 0o7777)
    unfinished.rename(path.with_name(f"{path.name}{PACKED}"))
    path.unlink()
