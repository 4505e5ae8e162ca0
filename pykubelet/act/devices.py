"""Gives containers the devices they ask for, and remembers who has which, in the genuine kubelet's file.

Source: K/pkg/kubelet/cm/devicemanager/manager.go. Devices are assigned before anything of a Pod is made; they come back
when the Pod holds nothing of the node any more.
"""

import asyncio
import collections
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nodekit import whole_file
from pykubelet.act import ports
from pykubelet.decide import device_checkpoint, devices
from pykubelet.errors import PodError
from pykubelet.model.container import Container
from pykubelet.model.devices import Assignment, DeviceGrant
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.status import ResourceStatus
from pykubelet.plugins.devices import grant_of
from pykubelet.plugins.errors import PluginError

CHECKPOINT: Final = "kubelet_internal_checkpoint"
REASON: Final = "UnexpectedAdmissionError"

log = logging.getLogger(__name__)


class Devices:
    """`keeps(uid)` says whether a Pod may still use its devices; `observe(resource, seconds)` is told how long each
    allocation took."""

    def __init__(
        self,
        folder: Path,
        plugins: ports.DevicePlugins,
        *,
        keeps: Callable[[Uid], bool],
        observe: Callable[[str, float], None] = lambda resource, seconds: None,
    ) -> None:
        self._file = folder / CHECKPOINT
        self._keeps = keeps
        self.observe = observe
        self._plugins = plugins
        self._locks: dict[str, asyncio.Lock] = collections.defaultdict(asyncio.Lock)
        self._held: dict[tuple[Uid, str, str], Assignment] = {}
        self._written = b""
        self._load()

    def held(self) -> tuple[Assignment, ...]:
        """Everything that is assigned to Pods that may use it."""
        for key in [key for key in self._held if not self._keeps(key[0])]:
            del self._held[key]
        return tuple(self._held.values())

    def is_ready(self, pod: Pod) -> bool:
        """Whether the Pod has all the devices it asks for."""
        return not self._missing(pod)

    def of(self, pod: Pod, container: Container) -> DeviceGrant:
        """What a container gets with its devices."""
        return devices.together(one.grant for one in self._of(pod, container))

    def statuses(self, pod: Pod) -> dict[str, tuple[ResourceStatus, ...]]:
        """The health of the devices of each of its containers."""
        mine = [one for one in self._held.values() if one.uid == pod.uid]
        return dict(devices.statuses(pod, mine, self._plugins.offers)) if mine else {}

    def taken_by(self, pod: Pod) -> dict[str, int]:
        """How many devices of each resource it has: it fits though the plugin has not told of them (again) yet."""
        return dict(devices.counts(one for one in self._held.values() if one.uid == pod.uid))

    def users(self, resource: str) -> frozenset[Uid]:
        """The Pods that have devices of it."""
        return frozenset(one.uid for one in self._held.values() if one.resource == resource)

    async def assign(self, pod: Pod) -> None:
        """Get the Pod the devices it lacks. Raises PodError, after which it has none more than before."""
        made: list[tuple[Uid, str, str]] = []
        try:
            for lack in self._missing(pod):
                async with self._locks[lack.resource]:
                    made.append(await self._assign(pod, lack))
        except PluginError as error:
            self._undo(made)
            raise PodError(REASON, f"Allocate failed due to {error.detail}, which is unexpected") from error
        except BaseException:
            self._undo(made)
            raise
        self.save()

    async def pre_start(self, pod: Pod, container: Container) -> None:
        """Tell the plugins that want to know that the container is about to start. Raises PodError."""
        for one in self._of(pod, container):
            try:
                plugin = self._plugins.plugin(one.resource)
                if plugin.options.pre_start:
                    await plugin.pre_start(sorted(one.ids))
            except PluginError as error:
                if error.call == "connect":
                    continue  # gone: it has asked for nothing that could be known now
                message = f"device plugin PreStartContainer rpc failed with err: {error.detail}"
                raise PodError("CreateContainerConfigError", message) from error

    def save(self) -> None:
        """Write the file, if it would say something else than it does."""
        healthy = {
            resource: sorted(id_ for id_, device in found.items() if device.healthy)
            for resource, found in self._plugins.offers.items()
        }
        content = device_checkpoint.write(self.held(), healthy)
        if content == self._written:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            whole_file.write(self._file, content, mode=0o600, flush=True, via=f".{CHECKPOINT}.part")
        except OSError as error:
            log.error("%s: who has which devices is not remembered: %s", self._file, error)
        else:
            self._written = content

    async def _assign(self, pod: Pod, lack: devices.Missing) -> tuple[Uid, str, str]:
        resource, held = lack.resource, self.held()
        offers = self._plugins.offers
        healthy = {id_ for id_, device in offers.get(resource, {}).items() if device.healthy}
        reuse = devices.reusable(pod, lack.container, resource, held) & healthy
        free = devices.available(resource, offers, held)
        short = devices.shortage(lack, offers, reuse, free)
        if short is not None:
            raise PodError(REASON, f"Allocate failed due to {short}, which is unexpected")
        plugin = self._plugins.plugin(resource)
        preferred: tuple[str, ...] = ()
        if plugin.options.preferred and len(reuse) < lack.count:
            preferred = await plugin.preferred(free | reuse, included=reuse, size=lack.count)
        ids = devices.choose(lack.count, reuse=reuse, free=free, preferred=preferred)
        began = time.monotonic()
        answer = await plugin.allocate(ids)
        self.observe(resource, time.monotonic() - began)
        key = (pod.uid, lack.container.name, resource)
        by_numa = devices.by_numa(ids, offers.get(resource, {}))
        self._held[key] = Assignment(*key, by_numa, answer, grant_of(answer))
        return key

    def _undo(self, made: list[tuple[Uid, str, str]]) -> None:
        for key in made:
            self._held.pop(key, None)

    def _missing(self, pod: Pod) -> tuple[devices.Missing, ...]:
        if not any(devices.wanted(c) for c in (*pod.spec.init_containers, *pod.spec.containers)):
            return ()
        known = {*self._plugins.offers, *(one.resource for one in self._held.values())}
        return devices.missing(pod, self._held.values(), known)

    def _of(self, pod: Pod, container: Container) -> list[Assignment]:
        return [one for one in self._held.values() if (one.uid, one.container) == (pod.uid, container.name)]

    def _load(self) -> None:
        try:
            assigned, offered = device_checkpoint.read(self._file.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.error("%s: nothing of who has which devices is known: %s", self._file, error)
            return
        self._plugins.expect(offered)
        for one in assigned:
            with contextlib.suppress(ValueError):
                grant = grant_of(one.answer)
                key = (one.uid, one.container, one.resource)
                self._held[key] = Assignment(*key, one.by_numa, one.answer, grant)
