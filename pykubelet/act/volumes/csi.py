"""Has storage drivers stage and publish volumes for Pods, and takes them away again.

Source: pkg/volume/csi (csi_attacher.go, csi_mounter.go).
"""

import asyncio
import contextlib
import dataclasses
import functools
import logging
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from nodekit.aio import threads
from nodekit.kube import errors
from nodekit.kube.client import Client
from nodekit.objects.meta import Key
from pykubelet import meters
from pykubelet.act import mount
from pykubelet.act.volumes import ownership
from pykubelet.act.volumes.csi_data import CSIData, Held, Mapped, Published
from pykubelet.act.volumes.kinds import Slot, VolumeError
from pykubelet.act.volumes.tokens import Tokens
from pykubelet.decide import csi
from pykubelet.model.csi import Access, Capability, Handle
from pykubelet.model.ids import Uid
from pykubelet.model.kinds import SECRETS
from pykubelet.model.machine import Filesystem
from pykubelet.model.storage import VOLUME_ATTACHMENTS, CSIDriverSpec
from pykubelet.model.usage import MountedVolume
from pykubelet.plugins.csi import Driver
from pykubelet.plugins.errors import PluginError

_ATTACH_PATIENCE = 110.0
_ATTACH_PAUSE = 0.5

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A volume of a driver, as a Pod or a persistent volume asks for it. `modes` None: the Pod's own (ephemeral)."""

    driver: str
    handle: str
    name: str
    modes: tuple[str, ...] | None = None
    read_only: bool = False
    fs_type: str = ""
    attributes: dict[str, str] = dataclasses.field(default_factory=dict)
    mount_options: tuple[str, ...] = ()
    stage_secret: Key | None = None
    publish_secret: Key | None = None

    @property
    def ephemeral(self) -> bool:
        return self.modes is None


class Plugins(Protocol):
    """The storage drivers of this node (observe.plugins)."""

    def driver(self, name: str) -> Driver | None: ...


class Drivers(Protocol):
    """What the cluster says of storage drivers (desired.csi_drivers)."""

    def get(self, name: str) -> CSIDriverSpec | None: ...


class CSIVolumes:
    """One for the node, whose name is `node`."""

    def __init__(
        self, client: Client, data: CSIData, *, parts: tuple[Plugins, Drivers], tokens: Tokens, node: str
    ) -> None:
        self._client = client
        self._data = data
        self._plugins, self._drivers = parts
        self._tokens = tokens
        self._node = node
        # Each lasts for as long as somebody holds it or waits for it.
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        # What a process before us attached is in use as well, even if no Pod has it any more.
        self._left = set(data.held())
        self._in_use = {csi.unique_name(one.driver, one.handle) for one in self._left}
        self._staged: set[Held] = set()
        self._tried: dict[Uid, set[Held]] = {}

    def in_use(self) -> tuple[str, ...]:
        """The attachable volumes that must not be detached from this node, as its status names them."""
        return tuple(sorted(self._in_use))

    async def mount(self, slot: Slot, wanted: Wanted) -> Path:
        """Have it in the Pod's folder (`slot.folder`); what containers get. Raises VolumeError."""
        spec = self._spec(wanted)
        published = Published(slot.folder, wanted.driver, wanted.handle, wanted.ephemeral)
        if not _is_there(published.target) or spec.requires_republish or ownership.is_due(slot.folder):
            self._try(slot, wanted)
            async with self._alone(wanted):
                await self._mount(slot, wanted, published, spec=spec)
        return published.target

    async def map(self, slot: Slot, wanted: Wanted) -> Path:
        """Have it as a raw device for the Pod; where the device is. Raises VolumeError."""
        spec, device = self._spec(wanted), self._data.device(wanted.name, slot.pod.uid)
        if not mount.is_mounted(device):
            self._try(slot, wanted, block=wanted.name)
            async with self._alone(wanted):
                await self._map(slot, wanted, device, spec=spec)
        return device

    async def expand(self, wanted: Wanted, path: Path, *, size: int) -> int | None:
        """Have a mounted volume's file system fill `size` bytes; its size then, None if the driver has no such call."""
        async with self._alone(wanted):
            driver = self._driver(wanted.driver)
            can = await driver.capabilities()
            if Capability.EXPAND not in can:
                return None
            staged = str(self._data.staging(wanted.driver, wanted.handle)) if Capability.STAGE in can else ""
            volume = Handle(wanted.handle, _access(wanted, can, group=None))
            return await driver.expand(volume, str(path), staged=staged, size=size)

    async def filesystem(self, volume: MountedVolume) -> Filesystem | None:
        """How full a mounted volume is, as its driver says; None if it cannot tell. Raises VolumeError."""
        driver = self._driver(volume.driver)
        try:
            if Capability.STATS not in await driver.capabilities():
                return None
            with meters.volume_sizing.labels(volume.driver).time():
                return csi.filesystem(await driver.usage(volume.handle, volume.folder))
        except PluginError as error:
            raise VolumeError(error.detail) from error

    async def unmount(self, pod_folder: Path) -> None:
        """Take away all that a Pod's folder has, and what was only tried for the Pod. Raises VolumeError.

        A driver that cannot unstage a volume does not hold up the Pod: `sweep` tries again, and until then the volume
        is in use.
        """
        uid = Uid(pod_folder.name)
        tried = self._tried.setdefault(uid, set())
        for published in list(self._data.published_of(pod_folder)):
            if not published.ephemeral:
                tried.add(Held(published.driver, published.handle))
            async with self._alone(published):
                await self._unmount(published)
        for mapped in list(self._data.mapped_of(pod_folder, tried={one.block for one in tried})):
            tried.add(Held(mapped.driver, mapped.handle, mapped.name))
            async with self._alone(mapped):
                await self._unmap(mapped)
        self._left |= tried
        self._tried.pop(uid, None)
        await self._release(tried)

    async def sweep(self) -> None:
        """Have unstaged what no Pod has any more but could not be unstaged so far, by us or a process before us."""
        await self._release(self._left)

    async def _release(self, volumes: Collection[Held]) -> None:
        await asyncio.gather(*(self._release_one(one) for one in list(volumes)))

    async def _release_one(self, held: Held) -> None:
        """Unstage a volume unless a Pod has it or is about to, which will see to it in the end."""
        if self._is_had(held):
            self._left.discard(held)
            return
        try:
            async with self._alone(held):
                if not self._is_had(held):
                    await self._unstage(held)
        except (VolumeError, OSError) as error:
            log.warning("volume %s of driver %s is not unstaged yet: %s", held.handle, held.driver, error)
        else:
            self._left.discard(held)

    def _try(self, slot: Slot, wanted: Wanted, *, block: str = "") -> None:
        """Note what a Pod is about to be given. Before its turn comes, so that nobody unstages the volume meanwhile."""
        if not wanted.ephemeral:
            self._tried.setdefault(slot.pod.uid, set()).add(Held(wanted.driver, wanted.handle, block))

    def _is_had(self, held: Held) -> bool:
        return any(held in tried for tried in self._tried.values()) or self._data.is_had(held)

    @contextlib.asynccontextmanager
    async def _alone(self, which: Wanted | Published | Mapped | Held) -> AsyncIterator[None]:
        """One thing at a time is done to a volume; what fails is said in the words of an event."""
        lock = self._locks.setdefault((which.driver, which.handle), asyncio.Lock())
        try:
            async with lock:
                yield
        except PluginError as error:
            raise VolumeError(error.detail) from error
        except errors.ApiError as error:
            raise VolumeError(str(error)) from error

    async def _mount(self, slot: Slot, wanted: Wanted, published: Published, *, spec: CSIDriverSpec) -> None:
        driver = self._driver(wanted.driver)
        can = await driver.capabilities()
        group = slot.fs_group if Capability.MOUNT_GROUP in can else None
        volume = await self._volume(wanted, _access(wanted, can, group=group), spec=spec)
        staged = ""
        if Capability.STAGE in can and not wanted.ephemeral:
            staged = str(self._data.note_staged(wanted.driver, wanted.handle))
            await self._stage(driver, volume, wanted, held=Held(wanted.driver, wanted.handle))
        self._data.note_published(published, name=wanted.name)
        volume = await self._for_pod(slot, wanted, volume, spec=spec)
        fresh = not _is_there(published.target)
        if fresh and group is None and not wanted.read_only and _gives_to_group(wanted, spec):
            ownership.intend(slot.folder, slot.pod)
        try:
            await driver.publish(volume, str(published.target), staged=staged)
        except PluginError as error:
            # A Pod that has the volume keeps what it sees; only a first try that surely failed leaves nothing.
            if error.final and fresh:
                self._data.forget_published(published)
            raise
        if ownership.is_due(slot.folder):
            await threads.to_its_end(functools.partial(ownership.give, slot.folder, published.target, slot.pod))

    async def _map(self, slot: Slot, wanted: Wanted, device: Path, *, spec: CSIDriverSpec) -> None:
        driver = self._driver(wanted.driver)
        can = await driver.capabilities()
        volume = await self._volume(wanted, _access(wanted, can, group=None, block=True), spec=spec)
        mapped = Mapped(wanted.name, wanted.driver, wanted.handle, device)
        staging = self._data.note_mapped(mapped)
        staged = str(staging) if Capability.STAGE in can else ""
        if staged:
            await self._stage(driver, volume, wanted, held=Held(wanted.driver, wanted.handle, wanted.name))
        volume = await self._for_pod(slot, wanted, volume, spec=spec)
        await driver.publish(volume, str(device), staged=staged)
        self._data.link(mapped, slot.folder)

    async def _stage(self, driver: Driver, volume: Handle, wanted: Wanted, *, held: Held) -> None:
        if held not in self._staged:
            secrets = await self._secret(wanted.stage_secret)
            volume = dataclasses.replace(volume, secrets=secrets)
            await driver.stage(volume, str(self._data.staging_of(held)))
            self._staged.add(held)

    async def _unstage(self, held: Held) -> None:
        """Undo the staging, if there was any; the volume may be detached then."""
        staging = self._data.staging_of(held)
        self._staged.discard(held)  # a call that fails may have its effect all the same
        if _exists(staging):
            driver = self._driver(held.driver)
            if Capability.STAGE in await driver.capabilities():
                await driver.unstage(held.handle, str(staging))
        self._data.forget(held)
        self._in_use.discard(csi.unique_name(held.driver, held.handle))

    async def _unmount(self, published: Published) -> None:
        driver = self._driver(published.driver)
        await driver.unpublish(published.handle, str(published.target))
        self._data.forget_published(published)

    async def _unmap(self, mapped: Mapped) -> None:
        driver = self._driver(mapped.driver)
        await driver.unpublish(mapped.handle, str(mapped.device))
        self._data.forget_device(mapped)

    async def _volume(self, wanted: Wanted, access: Access, *, spec: CSIDriverSpec) -> Handle:
        """The volume as the driver is told of it, attached if it has to be."""
        context = {} if wanted.ephemeral or not spec.attach_required else await self._attached(wanted)
        return Handle(wanted.handle, access, dict(wanted.attributes), context, read_only=wanted.read_only)

    async def _for_pod(self, slot: Slot, wanted: Wanted, volume: Handle, *, spec: CSIDriverSpec) -> Handle:
        """The volume with what the driver wants to know of the Pod."""
        context = dict(volume.context)
        secrets = await self._secret(wanted.publish_secret)
        if spec.pod_info_on_mount:
            context |= csi.pod_info(slot.pod, ephemeral=wanted.ephemeral)
        if spec.token_requests:
            tokens = await self._tokens.for_driver(slot.pod, spec.token_requests)
            where = secrets if spec.service_account_token_in_secrets else context
            where["csi.storage.k8s.io/serviceAccount.tokens"] = tokens
        return dataclasses.replace(volume, context=context, secrets=secrets)

    async def _attached(self, wanted: Wanted) -> dict[str, str]:
        """What the driver's controller said when it attached the volume here; waits for that."""
        self._in_use.add(csi.unique_name(wanted.driver, wanted.handle))
        name = csi.attachment(wanted.handle, driver=wanted.driver, node=self._node)
        deadline = asyncio.get_running_loop().time() + _ATTACH_PATIENCE
        while True:
            try:
                found = await self._client.get(VOLUME_ATTACHMENTS, Key("", name))
                if found.status.attached:
                    return found.status.attachment_metadata
            except (errors.NotFound, errors.Forbidden):
                pass  # the node authorizer knows only of attachments that exist
            if asyncio.get_running_loop().time() > deadline:
                what = f"external-attacher of {wanted.driver} CSI driver to attach volume {wanted.handle}"
                raise VolumeError(f"timed out waiting for {what}")
            await asyncio.sleep(_ATTACH_PAUSE)

    async def _secret(self, key: Key | None) -> dict[str, str]:
        if key is None:
            return {}
        found = await self._client.get(SECRETS, key)
        return {name: value.decode("utf-8", "surrogateescape") for name, value in found.data.items()}

    def _driver(self, name: str) -> Driver:
        driver = self._plugins.driver(name)
        if driver is None:
            raise VolumeError(f"driver name {name} not found in the list of registered CSI drivers")
        return driver

    def _spec(self, wanted: Wanted) -> CSIDriverSpec:
        spec = self._drivers.get(wanted.driver)
        if spec is None:
            raise VolumeError("CSIDrivers have not been read yet")
        mode = "Ephemeral" if wanted.ephemeral else "Persistent"
        if mode not in spec.volume_lifecycle_modes:
            modes = ", ".join(spec.volume_lifecycle_modes)
            raise VolumeError(f'volume mode "{mode}" not supported by driver {wanted.driver} (only supports [{modes}])')
        return spec


def _access(wanted: Wanted, can: Collection[Capability], *, group: int | None, block: bool = False) -> Access:
    mode = csi.access_mode(wanted.modes or (), can)
    return Access(mode, block, wanted.fs_type, wanted.mount_options, group)


def _exists(path: Path) -> bool:
    return path.exists()


def _is_there(target: Path) -> bool:
    return target.exists() and mount.is_file_system(target)


def _gives_to_group(wanted: Wanted, spec: CSIDriverSpec) -> bool:
    return csi.gives_to_group(spec, fs_type=wanted.fs_type, modes=wanted.modes)
