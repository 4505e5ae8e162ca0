"""Volumes whose files the API gives: configMap, secret, downwardAPI, projected. Changes are swapped in at once."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pykubelet.act import atomic_writer, mount
from pykubelet.act.volumes.issuers import Issuers
from pykubelet.act.volumes.kinds import Facts, Objects, Slot, Stateless, VolumeError, file_owner
from pykubelet.decide import mounts, trust_anchors, volume_content
from pykubelet.decide.volume_content import ContentError, File, Files
from pykubelet.model.pod import Pod
from pykubelet.model.volume import ProjectedSource, Volume, VolumeProjection

T = TypeVar("T")


class _Written(Stateless):
    """Common to all four: a folder, in memory where the content is secret, written through the atomic writer."""

    in_memory = False

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def fill(self, slot: Slot) -> None:
        try:
            files = await self.files(slot)
        except ContentError as error:
            raise VolumeError(str(error)) from error
        if not slot.folder.exists():
            slot.folder.mkdir(parents=True)
            slot.folder.chmod(0o777)
        if self.in_memory and not mount.is_file_system(slot.folder):
            mount.tmpfs(slot.folder)
        for inner in mounts.nested(slot.pod, slot.volume.name):
            (slot.folder / inner).mkdir(parents=True, exist_ok=True)
        atomic_writer.write(slot.folder, files, gid=slot.fs_group)

    def path(self, slot: Slot) -> Path:
        return slot.folder

    async def files(self, slot: Slot) -> Files:
        """What the volume shall hold. Raises ContentError."""
        raise NotImplementedError


class ConfigMap(_Written):
    plugin = "kubernetes.io~configmap"

    def serves(self, volume: Volume) -> bool:
        return volume.config_map is not None

    async def files(self, slot: Slot) -> Files:
        source, pod = slot.volume.config_map, slot.pod
        assert source is not None
        get = _in(self._objects.get_config_map, pod)
        found = volume_content.config_map(get, pod, source.name, optional=source.optional)
        return volume_content.of_config_map(found, source.items, mode=source.default_mode, optional=source.optional)


class Secret(_Written):
    plugin = "kubernetes.io~secret"
    in_memory = True

    def serves(self, volume: Volume) -> bool:
        return volume.secret is not None

    async def files(self, slot: Slot) -> Files:
        source, pod = slot.volume.secret, slot.pod
        assert source is not None
        get = _in(self._objects.get_secret, pod)
        found = volume_content.secret(get, pod, source.secret_name, optional=source.optional)
        return volume_content.of_secret(found, source.items, mode=source.default_mode, optional=source.optional)


class DownwardAPI(_Written):
    plugin = "kubernetes.io~downward-api"
    in_memory = True

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def serves(self, volume: Volume) -> bool:
        return volume.downward_api is not None

    async def files(self, slot: Slot) -> Files:
        source = slot.volume.downward_api
        assert source is not None
        # A volume may not refer to the Pod's addresses: the API refuses those fields here.
        return volume_content.of_downward(slot.pod, source.items, self._facts(()), mode=source.default_mode)


class Projected(_Written):
    plugin = "kubernetes.io~projected"
    in_memory = True

    def __init__(self, objects: Objects, facts: Facts, issuers: Issuers) -> None:
        self._objects = objects
        self._facts = facts
        self._issuers = issuers

    def serves(self, volume: Volume) -> bool:
        return volume.projected is not None

    async def files(self, slot: Slot) -> Files:
        projected = slot.volume.projected
        assert projected is not None
        files: Files = {}
        for index, source in enumerate(projected.sources):
            plain = self._plain(slot.pod, projected, source)
            files |= await self._issued(slot, projected, index) if plain is None else plain
        return files

    def _plain(self, pod: Pod, projected: ProjectedSource, source: VolumeProjection) -> Files | None:
        """What is copied from objects; None for a source that is issued."""
        mode = projected.default_mode
        if one := source.config_map:
            get = _in(self._objects.get_config_map, pod)
            found = volume_content.config_map(get, pod, one.name, optional=one.optional)
            return volume_content.of_config_map(found, one.items, mode=mode, optional=one.optional)
        if one := source.secret:
            secret = volume_content.secret(_in(self._objects.get_secret, pod), pod, one.name, optional=one.optional)
            return volume_content.of_secret(secret, one.items, mode=mode, optional=one.optional)
        if source.downward_api:
            return volume_content.of_downward(pod, source.downward_api.items, self._facts(()), mode=mode)
        return None

    async def _issued(self, slot: Slot, projected: ProjectedSource, index: int) -> Files:
        source, pod = projected.sources[index], slot.pod
        owner = file_owner(pod)
        # Whoever the file belongs to alone shall read it alone; a group is let in by the writer.
        mode = 0o600 if owner is not None or slot.fs_group is not None else projected.default_mode
        if wanted := source.service_account_token:
            token = await self._issuers.tokens.get(pod, audience=wanted.audience, seconds=wanted.expiration_seconds)
            return {wanted.path: File(token.encode(), mode, owner)}
        if roots := source.cluster_trust_bundle:
            bundles = await self._issuers.trust_bundles.all()
            if bundles is None:
                raise ContentError("ClusterTrustBundle informer has not yet synced")
            return {roots.path: File(trust_anchors.of(roots, bundles), mode, owner)}
        if asked := source.pod_certificate:
            bundle = await self._issuers.certificates.get(pod, asked, volume=slot.volume.name, index=index)
            paths = {
                asked.credential_bundle_path: bundle.key + bundle.chain,
                asked.key_path: bundle.key,
                asked.certificate_chain_path: bundle.chain,
            }
            return {path: File(data, mode, owner) for path, data in paths.items() if path}
        raise ContentError("a projected source of a kind this kubelet does not serve")


def _in(get: Callable[[str, str], T], pod: Pod) -> Callable[[str], T]:
    return lambda name: get(pod.metadata.namespace, name)
