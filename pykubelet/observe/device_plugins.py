"""Which device plugins there are and which devices they offer. Source: K/pkg/kubelet/cm/devicemanager/plugin/v1beta1.

They register at `<root>/device-plugins/kubelet.sock`; when that is made anew they know that a kubelet has started.
"""

import asyncio
import logging
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from nodekit.aio.clock import Clock
from pykubelet.decide import devices
from pykubelet.model.devices import Device
from pykubelet.plugins.devices import VERSION, DevicePlugin, Refused, Registration, registry
from pykubelet.plugins.errors import PluginError

SOCKET: Final = "kubelet.sock"
GRACE: Final = 300.0
"""Seconds for which a resource whose plugin went is still counted, as unhealthy. Source: endpointStopGracePeriod."""

log = logging.getLogger(__name__)


class DevicePlugins:
    """Run it as a task. `registered(resource)` is called at each registration."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._callbacks: list[Callable[[str], None]] = []
        self._plugins: dict[str, dict[str, DevicePlugin]] = {}
        self._devices: dict[str, dict[str, Device]] = {}
        self._gone_at: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.registered: Callable[[str], None] = lambda resource: None

    def expect(self, resources: Iterable[str]) -> None:
        """These were offered to the kubelet before us: their plugins will be back."""
        for resource in resources:
            self._devices.setdefault(resource, {})
            self._gone_at.setdefault(resource, self._clock.monotonic())

    def subscribe(self, callback: Callable[[str], None]) -> None:
        """Be told when devices of a resource came, went or changed."""
        self._callbacks.append(callback)

    @property
    def offers(self) -> Mapping[str, Mapping[str, Device]]:
        """All devices by resource and id. Those of a plugin that went are unhealthy, and forgotten after a while."""
        return {resource: found for resource, found in self._devices.items() if not self._is_forgotten(resource)}

    def capacity(self) -> dict[str, tuple[int, int]]:
        """How many devices of each resource there are, and how many of them are healthy; none once it is forgotten."""
        return {
            resource: (0, 0)
            if self._is_forgotten(resource)
            else (len(found), sum(device.healthy for device in found.values()))
            for resource, found in self._devices.items()
        }

    def plugin(self, resource: str) -> DevicePlugin:
        """The plugin that serves a resource, the last to register if there are several. PluginError if it is gone."""
        found = self._plugins.get(resource)
        if not found:
            raise PluginError("connect", plugin=resource, detail=f"endpoint of {resource} has been stopped", final=True)
        return list(found.values())[-1]

    async def run(self) -> None:
        """Take registrations until cancelled."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        for path in self._folder.iterdir():
            # Sockets of the last kubelet's time: their plugins make new ones when they see ours.
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink(missing_ok=True)
        try:
            async with registry(self._folder / SOCKET, self._register):
                await asyncio.Event().wait()
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def connect(self, resource: str, socket: str) -> None:
        """Take devices from the plugin that listens at `socket`. Raises PluginError."""
        plugin = DevicePlugin(resource, socket)
        try:
            await plugin.ask_options()
        except BaseException:
            await plugin.close()
            raise
        former = self._plugins.setdefault(resource, {}).pop(socket, None)
        if former is not None:
            await former.close()
        self._plugins[resource][socket] = plugin
        self._gone_at.pop(resource, None)
        log.info("device plugin for %s registered at %s", resource, socket)
        task = asyncio.create_task(self._follow(plugin), name=f"device plugin {resource}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _register(self, asked: Registration) -> None:
        self.registered(asked.resource)
        if asked.version != VERSION:
            raise Refused(
                f'requested API version "{asked.version}" is not supported by kubelet. '
                f'Supported version is ["{VERSION}"]'
            )
        if not devices.is_extended(asked.resource):
            raise Refused(f'the ResourceName "{asked.resource}" is invalid')
        await self.connect(asked.resource, str(self._folder / asked.socket))

    async def _follow(self, plugin: DevicePlugin) -> None:
        try:
            async for found in plugin.devices():
                self._devices[plugin.resource] = found
                self._changed(plugin.resource)
        except PluginError as error:
            log.warning("device plugin for %s at %s is gone: %s", plugin.resource, plugin.socket, error)
        finally:
            await self._lost(plugin)

    async def _lost(self, plugin: DevicePlugin) -> None:
        await plugin.close()
        others = self._plugins.get(plugin.resource, {})
        if others.get(plugin.socket) is not plugin:
            return  # it has registered anew
        del others[plugin.socket]
        if not others:
            here = self._devices.get(plugin.resource, {})
            self._devices[plugin.resource] = {id_: Device(id_, False, device.numa) for id_, device in here.items()}
            self._gone_at[plugin.resource] = self._clock.monotonic()
        self._changed(plugin.resource)

    def _is_forgotten(self, resource: str) -> bool:
        gone_at = self._gone_at.get(resource)
        return gone_at is not None and self._clock.monotonic() - gone_at > GRACE

    def _changed(self, resource: str) -> None:
        for callback in self._callbacks:
            callback(resource)
