"""Volumes whose files the API gives: configMap, secret, downwardAPI, projected. Changes are swapped in at once."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pykubelet.act import atomic_writer, mount
from pykubelet.act.volumes.kinds import Facts, Objects, Slot, VolumeError, file_owner
from pykubelet.act.volumes.tokens import Tokens
from pykubelet.decide import volume_content
from pykubelet.decide.volume_content import ContentError, File, Files
from pykubelet.model.pod import Pod
from pykubelet.model.volume import ProjectedSource, Volume, VolumeProjection

T = TypeVar("T")


class _Written:
    """Common to all four: a folder, in memory where the content is secret, written through the atomic writer."""

    in_memory = False

    async def fill(self, slot: Slot) -> None:
        try:
            files = await self.files(slot)
        except ContentError as error:
            raise VolumeError(str(error)) from error
        slot.folder.mkdir(parents=True, exist_ok=True)
        if self.in_memory and not mount.is_mounted(slot.folder):
            mount.tmpfs(slot.folder)
        slot.folder.chmod(0o777)
        atomic_writer.write(slot.folder, files, gid=slot.fs_group)

    def path(self, slot: Slot) -> Path:
        return slot.folder

    async def files(self, slot: Slot) -> Files:
        """What the volume shall hold. Raises ContentError."""
        raise NotImplementedError


class ConfigMap(_Written):
    plugin = "kubernetes.io~configmap"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

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

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

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

    def __init__(self, objects: Objects, facts: Facts, tokens: Tokens) -> None:
        self._objects = objects
        self._facts = facts
        self._tokens = tokens

    def serves(self, volume: Volume) -> bool:
        return volume.projected is not None

    async def files(self, slot: Slot) -> Files:
        projected = slot.volume.projected
        assert projected is not None
        files: Files = {}
        for source in projected.sources:
            files |= await self._of(slot, projected, source)
        return files

    async def _of(self, slot: Slot, projected: ProjectedSource, source: VolumeProjection) -> Files:
        pod, mode = slot.pod, projected.default_mode
        if one := source.config_map:
            found = volume_content.config_map(
                _in(self._objects.get_config_map, pod), pod, one.name, optional=one.optional
            )
            return volume_content.of_config_map(found, one.items, mode=mode, optional=one.optional)
        if one := source.secret:
            secret = volume_content.secret(_in(self._objects.get_secret, pod), pod, one.name, optional=one.optional)
            return volume_content.of_secret(secret, one.items, mode=mode, optional=one.optional)
        if source.downward_api:
            return volume_content.of_downward(pod, source.downward_api.items, self._facts(()), mode=mode)
        if wanted := source.service_account_token:
            token = await self._tokens.get(pod, audience=wanted.audience, seconds=wanted.expiration_seconds)
            owner = file_owner(pod)
            private = slot.fs_group is not None or owner is not None
            return {wanted.path: File(token.encode(), 0o600 if private else mode, owner)}
        raise ContentError("a projected source of a kind this kubelet does not serve")


def _in(get: Callable[[str, str], T], pod: Pod) -> Callable[[str], T]:
    return lambda name: get(pod.metadata.namespace, name)
