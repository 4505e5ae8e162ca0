"""Gathers how this node is now, for its status."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from nodekit.aio.clock import Clock
from pykubelet.cri import errors as cri_errors
from pykubelet.decide.node_status import NodeFacts
from pykubelet.model import observed
from pykubelet.model.machine import Machine, Pressure
from pykubelet.observe import machine as machines
from pykubelet.observe.runtime_health import RuntimeHealth

_IMAGES_PERIOD: Final = 30.0
_PATIENCE: Final = 5.0
"""Seconds that the first answer of the runtime is waited for."""

log = logging.getLogger(__name__)


class Images(Protocol):
    """The one call of CRI's ImageService that is made here."""

    async def list_images(self) -> tuple[observed.Image, ...]: ...


class NodeFactsGatherer:
    """`root_dir` is the kubelet's; its filesystem is what Pods' ephemeral storage is taken from (None: not counted).

    `problems` are further reasons why the node may not be ready.
    """

    def __init__(
        self,
        runtime: RuntimeHealth,
        images: Images,
        *,
        machine: Machine,
        addresses: tuple[str, ...],
        root_dir: Path | None,
        clock: Clock,
    ) -> None:
        self.pressure: Callable[[], Pressure] = Pressure
        self.problems: list[Callable[[], str]] = []
        self.volumes_in_use: Callable[[], tuple[str, ...]] = tuple
        self.devices: Callable[[], Mapping[str, tuple[int, int]]] = dict
        self._runtime = runtime
        self._images = images
        self._machine = machine
        self._addresses = addresses
        self._root_dir = root_dir
        self._clock = clock
        self._listed: tuple[observed.Image, ...] = ()
        self._list_again_at = 0.0

    async def gather(self) -> NodeFacts:
        """How it is now. What cannot be found out is left as it was, or is a reason not to be ready."""
        # Else a node whose kubelet restarts would look unready for a moment.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._runtime.wait_asked()
        problems = [problem for source in self.problems if (problem := source())]
        storage: int | None = None
        if self._root_dir is not None:
            try:
                storage = (await asyncio.to_thread(machines.filesystem, self._root_dir)).capacity
            except OSError as error:
                log.error("%s: %s", self._root_dir, error)
                problems.append("missing node capacity for resources: ephemeral-storage")
        return NodeFacts(
            machine=self._machine,
            addresses=self._addresses,
            storage=storage,
            runtime_version=self._runtime.version,
            runtime=self._runtime.status,
            images=await self._known_images(),
            pressure=self.pressure(),
            problems=(*self._runtime.problems(), *problems),
            volumes_in_use=self.volumes_in_use(),
            devices=self.devices(),
        )

    async def _known_images(self) -> tuple[observed.Image, ...]:
        now = self._clock.monotonic()
        if self._runtime.status is not None and now >= self._list_again_at:
            try:
                self._listed = await self._images.list_images()
                self._list_again_at = now + _IMAGES_PERIOD
            except cri_errors.CriError as error:
                log.warning("the images on this node could not be listed: %s", error)
        return self._listed
