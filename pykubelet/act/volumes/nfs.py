"""Folders of NFS servers, mounted by the machine's own `mount`. Source: pkg/volume/nfs, doMount in k8s.io/mount-utils.

A server that is away must hold up nobody but the Pods that want it: whatever asks it waits until it is back. So what is
mounted already is not looked into, only found in the kernel's table.
"""

import asyncio
import contextlib
import ipaddress
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from pykubelet.act import mount
from pykubelet.act.volumes.kinds import Slot, VolumeError
from pykubelet.model.ids import Uid
from pykubelet.model.usage import MountedVolume
from pykubelet.model.volume import NFSSource, Volume

PLUGIN = "kubernetes.io~nfs"


class NFS:
    """A folder of an NFS server that a Pod names itself."""

    plugin = PLUGIN

    def __init__(self) -> None:
        self._measurable: dict[tuple[Uid, str], MountedVolume] = {}

    def serves(self, volume: Volume) -> bool:
        return volume.nfs is not None

    async def fill(self, slot: Slot) -> None:
        source, name = slot.volume.nfs, slot.volume.name
        assert source is not None
        await have(source, slot.folder, ("ro",) if source.read_only else ())
        namespace = slot.pod.metadata.namespace
        self._measurable[slot.pod.uid, name] = MountedVolume(name=name, namespace=namespace, folder=str(slot.folder))

    def path(self, slot: Slot) -> Path:
        return slot.folder

    def serving(self, slot: Slot) -> str:
        return self.plugin

    def renew_at(self, uid: Uid) -> float | None:
        return None

    def forget(self, uid: Uid) -> None:
        for key in [key for key in self._measurable if key[0] == uid]:
            del self._measurable[key]

    def groups(self, uid: Uid) -> tuple[int, ...]:
        """None."""
        return ()

    def measurable(self, uid: Uid) -> tuple[MountedVolume, ...]:
        """Those that a Pod has."""
        return tuple(found for key, found in self._measurable.items() if key[0] == uid)


async def have(source: NFSSource, target: Path, options: Iterable[str]) -> None:
    """Have it mounted at a folder. Raises VolumeError with what `mount` said."""
    if mount.is_mounted(target):
        return
    os.makedirs(target, mode=0o750, exist_ok=True)
    given = ",".join(sorted({*options}))
    words = ("-t", "nfs", *(("-o", given) if given else ()), f"{_host(source.server)}:{source.path}", str(target))
    nothing, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            "mount", *words, stdin=nothing, stdout=pipe, stderr=asyncio.subprocess.STDOUT, start_new_session=True
        )
    )
    try:
        process = await asyncio.shield(starting)
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        process = await starting
        # It tries for minutes to reach a server that is away; with it ends its helper, which would mount all the same.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
        raise
    if process.returncode:
        with contextlib.suppress(OSError):
            os.rmdir(target)
        code = process.returncode
        how = f"exit status {code}" if code > 0 else f"signal: {signal.strsignal(-code)}".lower()
        raise VolumeError(
            f"mount failed: {how}\nMounting command: mount\nMounting arguments: {' '.join(words)}\n"
            f"Output: {said.decode(errors='replace')}"
        )


def _host(server: str) -> str:
    """A server as `mount` wants it named before a colon."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(server).version == 6:
            return f"[{server}]"
    return server
