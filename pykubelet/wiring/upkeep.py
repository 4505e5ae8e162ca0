"""Puts together what keeps the machine tidy: leftovers, logs and images."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nodekit.aio.clock import SystemClock
from nodekit.kube.shelf import Shelves
from pykubelet.act.cgroups import Cgroups
from pykubelet.act.files import PodFiles
from pykubelet.act.housekeeping import Housekeeping, Places
from pykubelet.act.image_gc import ImageCollector
from pykubelet.act.log_rotation import LogRotation
from pykubelet.act.pulled_images import PulledImages
from pykubelet.act.volumes import VolumeManager
from pykubelet.config.settings import Settings
from pykubelet.cri import runtime_api
from pykubelet.decide.image_gc import Policy
from pykubelet.model.ids import Uid
from pykubelet.observe.runtime_view import RuntimeView
from pykubelet.report import events
from pykubelet.report.events import Recorder

LOG_LINKS: Final = Path("/var/log/containers")


class Upkeep:
    """To be run once all sources of Pods are known. `known(uid)`: is that Pod anybody's business."""

    def __init__(
        self,
        settings: Settings,
        *,
        services: tuple[runtime_api.RuntimeService, runtime_api.ImageService],
        pulled: PulledImages,
        holds: tuple[VolumeManager, PodFiles, Cgroups],
        shelves: Shelves,
        seen: tuple[RuntimeView, Recorder],
        known: Callable[[Uid], bool],
    ) -> None:
        runtime, images = services
        view, recorder = seen
        clock = SystemClock()
        self._period = settings.container_log_monitor_interval
        places = Places(logs=Path(settings.pod_logs_dir), log_links=LOG_LINKS)
        self._housekeeping = Housekeeping(*holds, shelves, known=known, places=places, clock=clock)
        self._logs = LogRotation(
            runtime,
            containers=view.containers,
            largest=settings.container_log_max_size.value,
            most=settings.container_log_max_files,
            clock=clock,
        )
        self.images = ImageCollector(
            images,
            Policy(
                high_percent=settings.image_gc_high_threshold_percent,
                low_percent=settings.image_gc_low_threshold_percent,
                min_age=settings.image_minimum_gc_age,
                max_age=settings.image_maximum_gc_age,
            ),
            containers=view.containers,
            tell=lambda reason, message: recorder.of_node(events.WARNING, reason, message),
            settle=pulled.settle,
            clock=clock,
        )

    async def run(self) -> None:
        """Tidy up until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._housekeeping.run(), name="housekeeping")
            tasks.create_task(self._logs.run(self._period), name="log rotation")
            tasks.create_task(self.images.run(), name="image collector")
