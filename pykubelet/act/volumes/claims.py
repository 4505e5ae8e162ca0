"""Volumes that are not the Pod's own: claims bound to persistent volumes, and a Pod's inline CSI volumes."""

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from nodekit.aio import threads
from nodekit.kube import errors, patch
from nodekit.kube.client import Client
from nodekit.objects import quantity
from nodekit.objects.meta import Key
from pykubelet.act import mount
from pykubelet.act.volumes import nfs, ownership
from pykubelet.act.volumes.csi import CSIVolumes, Wanted
from pykubelet.act.volumes.kinds import Slot, Stateless, VolumeError
from pykubelet.decide import csi
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.storage import (
    BLOCK,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    CSIPersistentSource,
    PersistentVolume,
    PersistentVolumeClaim,
    SecretReference,
)
from pykubelet.model.usage import MountedVolume
from pykubelet.model.volume import Volume

_GID = "pv.beta.kubernetes.io/gid"
"""VolumeGidAnnotationKey in pkg/volume/util: the group that may use a persistent volume."""
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_PERIOD = 60.0
_STORAGE = "storage"
_RESIZING = ("FileSystemResizePending", "Resizing", "NodeResizeError", "ControllerResizeError")


class InlineCSI(Stateless):
    """A volume that a driver makes for one Pod and that ends with it."""

    plugin = csi.PLUGIN

    def __init__(self, volumes: CSIVolumes) -> None:
        self._volumes = volumes

    def serves(self, volume: Volume) -> bool:
        return volume.csi is not None

    def serving(self, slot: Slot) -> str:
        return f"{self.plugin}:{slot.volume.csi.driver}" if slot.volume.csi is not None else self.plugin

    async def fill(self, slot: Slot) -> None:
        source, pod = slot.volume.csi, slot.pod
        assert source is not None
        secret = source.node_publish_secret_ref
        wanted = Wanted(
            driver=source.driver,
            handle=csi.inline_handle(pod, slot.volume.name),
            name=slot.volume.name,
            read_only=source.read_only,
            fs_type=source.fs_type or "",
            attributes=source.volume_attributes,
            publish_secret=Key(pod.metadata.namespace, secret.name) if secret else None,
        )
        await self._volumes.mount(slot, wanted)

    def path(self, slot: Slot) -> Path:
        return slot.folder / "mount"


class Claimed:
    """What a claim is bound to: a volume of a storage driver, NFS, or a folder of this node."""

    plugin = "kubernetes.io~claim"
    """No folder of its own: each volume lies where its source's kind does."""

    def __init__(self, client: Client, volumes: CSIVolumes, *, now: Callable[[], float]) -> None:
        self._client = client
        self._volumes = volumes
        self._now = now
        self._paths: dict[tuple[Uid, str], Path] = {}
        self._measurable: dict[tuple[Uid, str], MountedVolume] = {}
        self._plugins: dict[tuple[Uid, str], str] = {}
        self._groups: dict[tuple[Uid, str], int] = {}
        self._look_at: dict[Uid, float] = {}

    def serves(self, volume: Volume) -> bool:
        return volume.persistent_volume_claim is not None or volume.ephemeral is not None

    async def fill(self, slot: Slot) -> None:
        try:
            claim = await self._claim(slot)
            volume = await self._bound(claim)
        except errors.ApiError as error:
            raise VolumeError(str(error)) from error
        self._plugins[slot.pod.uid, slot.volume.name] = _plugin(volume)
        source = slot.volume.persistent_volume_claim
        read_only = source is not None and source.read_only
        try:
            path = await self._have(slot, volume, read_only=read_only)
        except VolumeError as error:
            raise VolumeError(str(error), volume=volume.metadata.name) from error
        self._paths[slot.pod.uid, slot.volume.name] = path
        self._keep_group(slot, volume)
        if volume.spec.volume_mode != BLOCK and volume.spec.host_path is None:
            csi_source = volume.spec.csi
            self._measurable[slot.pod.uid, slot.volume.name] = MountedVolume(
                name=slot.volume.name,
                namespace=claim.metadata.namespace,
                claim=claim.metadata.name,
                folder=str(path),
                driver=csi_source.driver if csi_source is not None else "",
                handle=csi_source.volume_handle if csi_source is not None else "",
            )
        if volume.spec.csi is not None:
            # A node may not watch claims; that one has grown is seen by looking now and then.
            self._look_at[slot.pod.uid] = self._now() + _PERIOD
            await self._grow(claim, volume, path)

    def serving(self, slot: Slot) -> str:
        return self._plugins.get((slot.pod.uid, slot.volume.name), "N/A")

    def path(self, slot: Slot) -> Path:
        return self._paths[slot.pod.uid, slot.volume.name]

    def renew_at(self, uid: Uid) -> float | None:
        return self._look_at.get(uid)

    def forget(self, uid: Uid) -> None:
        """The Pod is gone."""
        self._look_at.pop(uid, None)
        for key in [key for key in self._plugins if key[0] == uid]:
            del self._plugins[key]
            self._paths.pop(key, None)
            self._measurable.pop(key, None)
            self._groups.pop(key, None)

    def groups(self, uid: Uid) -> tuple[int, ...]:
        """Those that the Pod's persistent volumes name in an annotation."""
        return tuple(sorted({group for key, group in self._groups.items() if key[0] == uid}))

    def _keep_group(self, slot: Slot, volume: PersistentVolume) -> None:
        key, noted = (slot.pod.uid, slot.volume.name), volume.metadata.annotations.get(_GID, "")
        self._groups.pop(key, None)
        if _WHOLE_NUMBER.fullmatch(noted):
            self._groups[key] = int(noted)

    def measurable(self, uid: Uid) -> tuple[MountedVolume, ...]:
        """Those of a Pod's volumes of which it can be told how full they are: no devices, no folders of the node."""
        return tuple(found for key, found in self._measurable.items() if key[0] == uid)

    async def _claim(self, slot: Slot) -> PersistentVolumeClaim:
        pod, source = slot.pod, slot.volume.persistent_volume_claim
        name = source.claim_name if source else f"{pod.metadata.name}-{slot.volume.name}"
        try:
            claim = await self._client.get(PERSISTENT_VOLUME_CLAIMS, Key(pod.metadata.namespace, name))
        except (errors.NotFound, errors.Forbidden) as error:
            raise VolumeError(f"failed to fetch PVC from API server: {error}") from error
        if source is None and not _is_owned(claim, pod):
            raise VolumeError(f"PVC {claim.key} was not created for pod {pod.key} (pod is not owner)")
        return claim

    async def _bound(self, claim: PersistentVolumeClaim) -> PersistentVolume:
        if claim.status.phase != "Bound" or not claim.spec.volume_name:
            raise VolumeError(f"error processing PVC {claim.key}: PVC is not bound")
        volume = await self._client.get(PERSISTENT_VOLUMES, Key("", claim.spec.volume_name))
        if volume.spec.claim_ref is None or volume.spec.claim_ref.uid != claim.metadata.uid:
            raise VolumeError(f"error processing PVC {claim.key}: PV {volume.metadata.name} is not bound to it")
        return volume

    async def _grow(self, claim: PersistentVolumeClaim, volume: PersistentVolume, path: Path) -> None:
        """Have the file system grow after the volume, and say so in the claim."""
        source = volume.spec.csi
        has, now = _storage(claim.status.capacity), _storage(volume.spec.capacity)
        asked = _storage(claim.spec.resources.requests)
        if source is None or not has or not has < now or now < asked:
            return
        size = await self._volumes.expand(_wanted(volume, source, read_only=False), path, size=now)
        if size is None:
            return
        capacity = {**claim.status.capacity, _STORAGE: volume.spec.capacity[_STORAGE]}
        others = [one for one in claim.status.conditions if one.type not in _RESIZING]
        status = msgspec.structs.replace(
            claim.status,
            capacity=capacity,
            allocated_resource_statuses={},
            # Of those that are not about resizing we know too little to write them anew.
            conditions=claim.status.conditions if others else (),
        )
        change = patch.merge(claim, msgspec.structs.replace(claim, status=status))
        if change is not None:
            await self._client.patch(PERSISTENT_VOLUME_CLAIMS, claim.key, change, subresource="status")

    async def _have(self, slot: Slot, volume: PersistentVolume, *, read_only: bool) -> Path:
        spec, name = volume.spec, volume.metadata.name
        volumes = slot.folder.parent.parent
        if spec.csi is not None:
            at = Slot(slot.pod, slot.volume, volumes / csi.PLUGIN / name)
            wanted = _wanted(volume, spec.csi, read_only=read_only)
            block = spec.volume_mode == BLOCK
            return await (self._volumes.map(at, wanted) if block else self._volumes.mount(at, wanted))
        if spec.volume_mode == BLOCK:
            if spec.local is not None:
                return Path(spec.local.path)
            raise VolumeError(f"persistent volume {name} is of a kind that has no raw device here")
        if spec.host_path is not None:
            return Path(spec.host_path.path)
        if spec.local is not None:
            target = volumes / "kubernetes.io~local-volume" / name
            # Handing over a large folder takes its time, and nothing may be mounted once the Pod has gone.
            bind = functools.partial(_bind_local, slot.pod, Path(spec.local.path), target, read_only=read_only)
            await threads.to_its_end(bind)
            return target
        if spec.nfs is not None:
            target = volumes / nfs.PLUGIN / name
            # Only the claim's own word counts: a genuine kubelet passes over readOnly in a persistent volume.
            await nfs.have(spec.nfs, target, (*spec.mount_options, *(("ro",) if read_only else ())))
            return target
        raise VolumeError(f"persistent volume {name} is of a kind that this kubelet does not serve")


def _wanted(volume: PersistentVolume, source: CSIPersistentSource, *, read_only: bool) -> Wanted:
    return Wanted(
        driver=source.driver,
        handle=source.volume_handle,
        name=volume.metadata.name,
        modes=volume.spec.access_modes,
        read_only=read_only or source.read_only,
        fs_type=source.fs_type,
        attributes=source.volume_attributes,
        mount_options=volume.spec.mount_options,
        stage_secret=_key(source.node_stage_secret_ref),
        publish_secret=_key(source.node_publish_secret_ref),
    )


def _storage(amounts: Mapping[str, str]) -> int:
    return quantity.parse(amounts.get(_STORAGE, "0")).value


def _key(reference: SecretReference | None) -> Key | None:
    return Key(reference.namespace, reference.name) if reference else None


def _is_owned(claim: PersistentVolumeClaim, pod: Pod) -> bool:
    return any(owner.uid == pod.uid and owner.controller for owner in claim.metadata.owner_references)


def _bind_local(pod: Pod, source: Path, target: Path, *, read_only: bool) -> None:
    if not source.is_dir():
        raise VolumeError(f'path "{source}" does not exist or is no folder')
    if not _is_ready(target):
        if not read_only:
            ownership.intend(target, pod)
        mount.bind(source, target, read_only=read_only)
    ownership.give(target, target, pod)


def _is_ready(target: Path) -> bool:
    """Whether something is mounted there; else the folder is made."""
    target.mkdir(parents=True, exist_ok=True, mode=0o750)
    return mount.is_mounted(target)


def _plugin(volume: PersistentVolume) -> str:
    spec = volume.spec
    if spec.csi is not None:
        return f"{csi.PLUGIN}:{spec.csi.driver}"
    if spec.local is not None:
        return "kubernetes.io~local-volume"
    return "kubernetes.io~host-path" if spec.host_path is not None else nfs.PLUGIN
