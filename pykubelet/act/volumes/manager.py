"""Gets a Pod's volumes ready, keeps their content up to date, and takes them away."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pykubelet import meters
from pykubelet.act import mount, ports, removal
from pykubelet.act.files import PodFiles
from pykubelet.act.volumes.csi import CSIVolumes
from pykubelet.act.volumes.issuers import Issuers
from pykubelet.act.volumes.kinds import Kind, Slot, VolumeError
from pykubelet.decide.environment import ConfigError
from pykubelet.errors import PodError
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.volume import Volume


class VolumeManager:
    """One for the node. `kinds` are asked in order which of them serves a volume."""

    def __init__(
        self, files: PodFiles, kinds: Sequence[Kind], *, csi: CSIVolumes, issuers: Issuers, recorder: ports.Recorder
    ) -> None:
        self._files = files
        self._kinds = tuple(kinds)
        self._csi = csi
        self._issuers = issuers
        self._recorder = recorder
        self._asked: dict[tuple[Uid, str], float] = {}
        self._ready: set[tuple[Uid, str]] = set()

    async def prepare(self, pod: Pod) -> None:
        """Have every volume on disk and filled; done again it brings changed content up to date.

        Each volume that is not ready gets an event; raises PodError FailedMount for the first of them.
        """
        self._files.make(pod.uid)
        results = await asyncio.gather(
            *(self._fill(pod, volume) for volume in pod.spec.volumes), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def host_path(self, pod: Pod, name: str) -> str:
        """What containers mount for a volume of the Pod. ConfigError if the Pod has none of that name."""
        for volume in pod.spec.volumes:
            if volume.name == name:
                kind, slot = self._slot(pod, volume)
                return str(kind.path(slot))
        raise ConfigError(f'cannot find volume "{name}" to mount into container')

    def plugin(self, pod: Pod, volume: Volume) -> str:
        """Which plugin serves a volume, in the genuine kubelet's words; `N/A` if that is not known (yet)."""
        try:
            kind, slot = self._slot(pod, volume)
        except ConfigError:
            return "N/A"
        return _spoken(kind.serving(slot))

    def renew_at(self, uid: Uid) -> float | None:
        """When the Pod's volumes need `prepare` again, for a token's sake for instance (epoch seconds)."""
        times = [self._issuers.renew_at(uid), *(kind.renew_at(uid) for kind in self._kinds)]
        return min((at for at in times if at is not None), default=None)

    def groups(self, uid: Uid) -> tuple[int, ...]:
        """Groups that the Pod's processes shall be in for the sake of its volumes; known once these are prepared."""
        return tuple(group for kind in self._kinds for group in kind.groups(uid))

    async def tear_down(self, pod: Pod) -> None:
        """Unmount everything below the Pod's folder and remove what the volumes held. PodError when that fails."""
        await self.remove(pod.uid)

    async def forget(self, pod: Pod) -> None:
        """Remove the Pod's folder."""
        await self.remove(pod.uid)
        try:
            self._files.remove(pod.uid)
        except OSError as error:
            raise PodError("FailedUnMount", str(error)) from error

    async def sweep(self) -> None:
        """Take away what is left of volumes that no Pod has any more."""
        await self._csi.sweep()

    async def remove(self, uid: Uid) -> None:
        """Unmount and remove the volumes of a Pod of which no more than the UID is known. PodError FailedUnMount."""
        self._issuers.forget(uid)
        for key in [key for key in self._asked if key[0] == uid]:
            del self._asked[key]
            self._ready.discard(key)
        for kind in self._kinds:
            kind.forget(uid)
        folder = self._files.folder(uid)
        here = _here(folder / "volumes")
        with _timed("volume_unmount", lambda: here):
            await self._remove(uid, folder)

    async def _remove(self, uid: Uid, folder: Path) -> None:
        try:
            mounted = mount.below(folder)
            for point in mounted:
                # A sub-path keeps the volume it is in busy.
                if point.is_relative_to(folder / "volume-subpaths"):
                    mount.unmount(point)
            await self._csi.unmount(folder)
            for point in mounted:
                mount.unmount(point)
            # Looked at again whatever was there before: what is mounted now would be emptied with the folders.
            if left := mount.below(folder):
                raise OSError(f"{left[0]} is still mounted")
            for name in ("volumes", "volume-subpaths", "volumeDevices", "plugins"):
                removal.remove_tree(folder / name)
        except (OSError, VolumeError) as error:
            raise PodError(
                "FailedUnMount", f"UnmountVolume.TearDown failed for volumes of Pod {uid}: {error}"
            ) from error

    async def _fill(self, pod: Pod, volume: Volume) -> None:
        try:
            kind, slot = self._slot(pod, volume)
            key = (pod.uid, volume.name)
            asked = self._asked.setdefault(key, time.monotonic())
            with _timed("volume_mount", lambda: [self.plugin(pod, volume)]):
                await kind.fill(slot)
            if key not in self._ready:
                self._ready.add(key)
                plugin = self.plugin(pod, volume)
                meters.volume_mount.labels(plugin, "overall_volume_mount").observe(time.monotonic() - asked)
        except (VolumeError, ConfigError, OSError) as error:
            words = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.errno else str(error)
            name = error.volume if isinstance(error, VolumeError) and error.volume else volume.name
            said = f'MountVolume.SetUp failed for volume "{name}" : {words}'
            self._recorder.event(pod, "Warning", "FailedMount", said)
            raise PodError("FailedMount", said) from error

    def _slot(self, pod: Pod, volume: Volume) -> tuple[Kind, Slot]:
        for kind in self._kinds:
            if kind.serves(volume):
                folder = self._files.folder(pod.uid) / "volumes" / kind.plugin / volume.name
                return kind, Slot(pod, volume, folder)
        raise ConfigError(f'volume "{volume.name}" is of a kind that this kubelet does not serve')


@contextlib.contextmanager
def _timed(operation: str, plugins: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Count an operation on volumes of these plugins, which are done together; afterwards they are known."""
    began, status = time.monotonic(), "fail-unknown"
    try:
        yield
        status = "success"
    finally:
        for plugin in plugins():
            meters.storage_operation.labels(plugin, operation, status, "false").observe(time.monotonic() - began)


def _here(folder: Path) -> list[str]:
    """The plugins of the volumes that a Pod's folder has."""
    with contextlib.suppress(OSError):
        return [_spoken(kind.name) for kind in os.scandir(folder) for _ in os.scandir(kind.path)]
    return []


def _spoken(plugin: str) -> str:
    return plugin.replace("~", "/", 1)
