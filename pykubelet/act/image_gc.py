"""Removes unused images when their disk is nearly full, or when nobody has used them for long."""

import logging
import os
import sys
from collections.abc import Callable, Iterable
from typing import Final

from nodekit.aio.clock import Clock
from pykubelet import meters
from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.decide import image_gc
from pykubelet.decide.image_gc import Policy, Record
from pykubelet.model import observed
from pykubelet.model.runtime_config import ImageSpec

PERIOD: Final = 300.0
_AGE, _SPACE = "age", "space"

log = logging.getLogger(__name__)


class ImageCollector:
    """Run it as a task. `containers()` are those the runtime has; `tell(reason, message)` warns about the node.

    `settle(images, began)` hears of the images there are after each look, and when that began (Unix time).
    """

    def __init__(
        self,
        images: runtime_api.ImageService,
        policy: Policy,
        *,
        containers: Callable[[], Iterable[observed.Container]],
        tell: Callable[[str, str], None],
        settle: Callable[[Iterable[observed.Image], float], None],
        clock: Clock,
    ) -> None:
        self._images = images
        self._policy = policy
        self._containers = containers
        self._tell = tell
        self._settle = settle
        self._clock = clock
        self._began = clock.now().timestamp()
        self._records: dict[str, Record] = {}

    async def run(self) -> None:
        """Collect until cancelled."""
        while True:
            try:
                await self.collect()
            except (cri_errors.CriError, OSError) as error:
                log.warning("images are not collected: %s", error)
            await self._clock.sleep(PERIOD)

    async def collect(self) -> None:
        """Look once, and remove what the policy says. Raises CriError and OSError."""
        now = self._clock.now().timestamp()
        images = await self._look(now)
        old = image_gc.too_old(images, self._records, self._policy, now=now, watched_since=self._began)
        await self._remove(old, "nobody has used it for long", reason=_AGE)
        filesystems = await self._images.filesystems()
        if not filesystems.images:
            return
        disk = os.statvfs(filesystems.images[0].mountpoint)
        capacity, available = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
        wanted = image_gc.bytes_to_free(self._policy, capacity=capacity, available=available)
        if not wanted:
            return
        rest = [image for image in images if image not in old]
        chosen = image_gc.to_free(rest, self._records, wanted, min_age=self._policy.min_age, now=now)
        freed = await self._remove(chosen, "the disk is nearly full")
        if freed < wanted:
            message = f"Insufficient free disk space on the node's image filesystem: {freed} of {wanted} bytes freed"
            self._tell("FreeDiskSpaceFailed", message)

    async def remove_unused(self) -> int:
        """Remove every image that is not in use; the bytes that frees. For a node that is short of disk."""
        now = self._clock.now().timestamp()
        images = await self._look(now)
        unused = image_gc.to_free(images, self._records, sys.maxsize, min_age=self._policy.min_age, now=now)
        return await self._remove(unused, "the node is short of disk")

    async def _look(self, now: float) -> tuple[observed.Image, ...]:
        images = await self._images.list_images()
        self._settle(images, now)
        in_use = {name for c in self._containers() for name in (c.image_id, c.image_ref, *_mounted(c))}
        self._records = image_gc.records(self._records, images, _ids(images, in_use), now=now)
        return images

    async def _remove(self, images: Iterable[observed.Image], why: str, *, reason: str = _SPACE) -> int:
        freed = 0
        for image in images:
            try:
                await self._images.remove_image(ImageSpec(image=image.id))
            except cri_errors.CriError as error:
                log.warning("image %s stays: %s", image.id, error)
                continue
            log.info("image %s (%d bytes) is removed: %s", image.repo_tags or image.id, image.size, why)
            meters.images_collected.labels(reason).inc()
            self._records.pop(image.id, None)
            freed += image.size
        return freed


def _mounted(container: observed.Container) -> list[str]:
    return [mount.image.image for mount in container.mounts if mount.image is not None]


def _ids(images: Iterable[observed.Image], names: set[str]) -> frozenset[str]:
    """A container may name its image by id, tag or digest."""
    return frozenset(
        image.id for image in images if names.intersection((image.id, *image.repo_tags, *image.repo_digests))
    )
