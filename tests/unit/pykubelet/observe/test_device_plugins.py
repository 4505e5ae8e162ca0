"""What is known of device plugins that end or are left."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nodekit.aio.clock import SystemClock
from pykubelet.model.devices import Device
from pykubelet.observe import device_plugins


class Plugin:
    """Has one device, and says nothing more."""

    def __init__(self, resource: str, socket: str) -> None:
        self.resource, self.socket, self.closed = resource, socket, False

    async def ask_options(self) -> None:
        return None

    async def devices(self) -> AsyncIterator[dict[str, Device]]:
        yield {"d0": Device("d0", True)}
        await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed = True


async def test_who_follows_a_plugin_and_is_cancelled_leaves_it_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_plugins, "DevicePlugin", Plugin)
    plugins = device_plugins.DevicePlugins(tmp_path, clock=SystemClock())
    told: asyncio.Queue[str] = asyncio.Queue()
    plugins.subscribe(told.put_nowait)
    await plugins.connect("example.com/d", "socket")
    assert await told.get() == "example.com/d"
    assert plugins.capacity() == {"example.com/d": (1, 1)}
    plugin = plugins.plugin("example.com/d")
    (task,) = (one for one in asyncio.all_tasks() if one.get_name() == "device plugin example.com/d")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert isinstance(plugin, Plugin)
    assert plugin.closed
    assert plugins.capacity() == {"example.com/d": (1, 0)}
