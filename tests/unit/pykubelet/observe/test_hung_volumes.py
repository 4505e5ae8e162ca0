"""Volumes of a server that is away: each keeps one thread of its own, and nobody else waits."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from nodekit.aio.clock import SystemClock
from pykubelet.model.ids import Uid
from pykubelet.model.usage import MountedVolume
from pykubelet.observe import disk_usage, usage

UID = Uid("u1")


async def test_they_keep_no_thread_that_others_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volumes = tuple(MountedVolume(name=f"v{n}", namespace="default", folder=f"/v{n}") for n in range(40))
    back, asked = threading.Event(), list[str]()

    def hang(volume: MountedVolume) -> None:
        asked.append(volume.folder)
        back.wait(20)

    monkeypatch.setattr(disk_usage, "of_mounted", hang)
    monkeypatch.setattr(usage, "_PATIENCE", 0.05)
    nothing: Any = None
    place = usage.Place(node_name="n1", root=tmp_path, logs=tmp_path, pods_cgroup="")
    asks = usage.Usage(nothing, nothing, machine=nothing, place=place, seen=lambda uid: None, clock=SystemClock())
    asks.mounted = lambda uid: volumes
    try:
        assert await asks._of_mounts(UID) == {}
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(lambda: "free") == "free"
        assert await asks._of_mounts(UID) == {}
        assert sorted(asked) == sorted(volume.folder for volume in volumes), "a second thread hangs at a volume"
    finally:
        back.set()
    async with asyncio.timeout(5):
        while asks._unanswered:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asks._of_mounts(UID)
    assert len(asked) == 2 * len(volumes)
