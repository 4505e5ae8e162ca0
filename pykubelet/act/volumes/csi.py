"""Has storage drivers stage and publish volumes for Pods, and takes them away again.

Source: pkg/volume/csi (csi_attacher.go, csi_mounter.go).
"""

import asyncio
import dataclasses
from collections import defaultdict
from pathlib import Path
from typing import Protocol

from nodekit.kube import errors
from nodekit.kube.client import Client
from nodekit.objects.meta import Key
from pykubelet.act import mount
from pykubelet.act.volumes import ownership
from pykubelet.act.volumes.csi_data import CSIData, Published
from pykubelet.act.volumes.kinds import Slot, VolumeError
from pykubelet.act.volumes.tokens import Tokens
from pykubelet.decide import csi
from pykubelet.model.csi import Access, Capability, Handle
from pykubelet.model.kinds import SECRETS
from pykubelet.model.storage import VOLUME_ATTACHMENTS, CSIDriverSpec
from pykubelet.plugins.csi import Driver
from pykubelet.plugins.errors import PluginError

_ATTACH_PATIENCE = 110.0
_ATTACH_PAUSE = 0.5


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
        self._locks: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._in_use: set[str] = set()

    def in_use(self) -> tuple[str, ...]:
        """The attachable volumes that must not be detached from this node, as its status names them."""
        return tuple(sorted(self._in_use))

    async def mount(self, slot: Slot, wanted: Wanted) -> Path:
        """Have it in the Pod's folder (`slot.folder`); what containers get. Raises VolumeError."""
        driver, spec = self._driver(wanted.driver), self._spec(wanted)
        published = Published(slot.folder, wanted.driver, wanted.handle)
        if published.target.exists() and mount.is_file_system(published.target) and not spec.requires_republish:
            return published.target
        try:
            async with self._locks[wanted.driver, wanted.handle]:
                await self._mount(slot, wanted, driver, spec=spec)
        except PluginError as error:
            raise VolumeError(error.detail) from error
        except errors.ApiError as error:
            raise VolumeError(str(error)) from error
        return published.target

    async def unmount(self, pod_folder: Path) -> None:
        """Take away all that a Pod's folder has. Raises VolumeError."""
        for published in list(self._data.published_of(pod_folder)):
            try:
                async with self._locks[published.driver, published.handle]:
                    await self._unmount(published)
            except PluginError as error:
                raise VolumeError(error.detail) from error

    async def _mount(self, slot: Slot, wanted: Wanted, driver: Driver, *, spec: CSIDriverSpec) -> None:
        can = await driver.capabilities()
        group = slot.fs_group if Capability.MOUNT_GROUP in can else None
        access = Access(csi.access_mode(wanted.modes or (), can), False, wanted.fs_type, wanted.mount_options, group)
        context = {} if wanted.ephemeral or not spec.attach_required else await self._attached(wanted)
        volume = Handle(wanted.handle, access, dict(wanted.attributes), context, read_only=wanted.read_only)
        staged = ""
        if Capability.STAGE in can and not wanted.ephemeral:
            staged = str(self._data.note_staged(wanted.driver, wanted.handle))
            secrets = await self._secret(wanted.stage_secret)
            await driver.stage(dataclasses.replace(volume, secrets=secrets), staged)
        published = Published(slot.folder, wanted.driver, wanted.handle)
        self._data.note_published(published, name=wanted.name, ephemeral=wanted.ephemeral)
        volume = await self._for_pod(slot, wanted, volume, spec=spec)
        fresh = not published.target.exists() or not mount.is_file_system(published.target)
        try:
            await driver.publish(volume, str(published.target), staged=staged)
        except PluginError as error:
            # A Pod that has the volume keeps what it sees; only a first try that surely failed leaves nothing.
            if error.final and fresh:
                self._data.forget_published(published)
            raise
        if fresh and group is None and not wanted.read_only and _gives_to_group(wanted, spec):
            await asyncio.to_thread(ownership.apply, published.target, slot.pod, read_only=False)

    async def _unmount(self, published: Published) -> None:
        driver = self._driver(published.driver)
        await driver.unpublish(published.handle, str(published.target))
        self._data.forget_published(published)
        key = (published.driver, published.handle)
        if any((other.driver, other.handle) == key for other in self._data.published()):
            return
        staging = self._data.staging(*key)
        if staging.exists() and Capability.STAGE in await driver.capabilities():
            await driver.unstage(published.handle, str(staging))
        self._data.forget_staged(*key)
        self._in_use.discard(csi.unique_name(*key))

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


def _gives_to_group(wanted: Wanted, spec: CSIDriverSpec) -> bool:
    return csi.gives_to_group(spec, fs_type=wanted.fs_type, modes=wanted.modes)
