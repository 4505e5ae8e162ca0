"""Gathers what a container is made from beside its own spec: environment, mounts, image user."""

import dataclasses
from collections.abc import Callable, Iterator

from pykubelet.act import ports
from pykubelet.act.isolation import PodIsolation
from pykubelet.act.pod_memory import PodMemory
from pykubelet.decide import container_spec, critical, downward, env_file, environment, security
from pykubelet.decide.environment import ConfigError
from pykubelet.model import observed
from pykubelet.model.container import Container
from pykubelet.model.pod import Pod
from pykubelet.model.runtime_config import ContainerSpec, Device, ImageSpec, Mount
from pykubelet.model.volume import Volume


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """What this node adds. `facts(pod_ips)` completes the downward API; `allocatable` is part of it."""

    spec: container_spec.NodeFacts
    facts: Callable[[tuple[str, ...]], downward.Facts]
    isolation: PodIsolation


class Inputs:
    """`environment` and `mounts` of one container."""

    def __init__(
        self,
        objects: ports.Objects,
        services: ports.Services,
        volumes: ports.Volumes,
        files: ports.Files,
        devices: ports.Devices,
        *,
        node: Node,
    ) -> None:
        self._objects = objects
        self._services = services
        self._volumes = volumes
        self._files = files
        self._grants = devices
        self._node = node

    def environment(self, pod: Pod, container: Container, *, pod_ips: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """Names and values. Raises ConfigError."""
        # A static Pod may well be what the API server itself runs in.
        if not self._services.synced and not critical.is_static(pod):
            raise ConfigError("services have not yet been read at least once, cannot construct envvars")
        namespace = pod.metadata.namespace
        sources = environment.Sources(
            config_map=lambda name: self._objects.get_config_map(namespace, name),
            secret=lambda name: self._objects.get_secret(namespace, name),
            services=self._services.all(),
            facts=self._node.facts(pod_ips),
            file_value=lambda volume, path, key: self._file_value(pod, volume, path, key),
        )
        return environment.of(pod, container, sources)

    def mounts(
        self, memory: PodMemory, container: Container, envs: tuple[tuple[str, str], ...], *, pod_ips: tuple[str, ...]
    ) -> tuple[Mount, ...]:
        """The volumes', the hosts file's and the termination log's. Raises ConfigError."""
        pod, values, isolation = memory.pod, dict(envs), self._node.isolation.of(memory.pod)
        read_only = {v.name for v in pod.spec.volumes if _is_read_only(v)}
        found = []
        for index, wanted in enumerate(container.volume_mounts):
            sub = container_spec.sub_path(wanted, values)
            image_id = memory.image_volumes.get(wanted.name)
            if image_id is not None:
                plain = container_spec.mount(wanted, host_path="", read_only=True, handles_rro=False)
                found.append(dataclasses.replace(plain, image=ImageSpec(image=image_id), image_sub_path=sub))
                continue
            host_path = self._volumes.host_path(pod, wanted.name)
            if sub:
                host_path = self._files.sub_path(pod, container.name, index, volume=host_path, path=sub)
            found.append(
                container_spec.mount(
                    wanted,
                    host_path=host_path,
                    read_only=wanted.name in read_only,
                    handles_rro=isolation.recursive_read_only,
                )
            )
        taken = {mount.container_path for mount in found}
        if "/etc/hosts" not in taken:
            found.append(Mount(container_path="/etc/hosts", host_path=self._files.etc_hosts(pod, pod_ips)))
        if container.termination_message_path:
            log = self._files.termination_log(pod, container.name)
            found.append(Mount(container_path=container.termination_message_path, host_path=log))
        return tuple(found)

    async def pre_start(self, pod: Pod, container: Container) -> None:
        """Have the container's devices made ready for it. Raises PodError."""
        await self._grants.pre_start(pod, container)

    def given(
        self, memory: PodMemory, container: Container, image: observed.Image, *, pod_ips: tuple[str, ...]
    ) -> container_spec.Given:
        """All of it, for an image that is there; the attempt is the image's. Raises ConfigError."""
        envs = self.environment(memory.pod, container, pod_ips=pod_ips)
        isolation = self._node.isolation.of(memory.pod)
        return container_spec.Given(
            attempt=memory.images[container.name].attempt,
            image=image.id,
            image_user=security.ImageUser(uid=image.uid, name=image.username),
            envs=envs,
            mounts=self.mounts(memory, container, envs, pod_ips=pod_ips),
            devices_grant=self._grants.of(memory.pod, container),
            volume_devices=tuple(self._devices(memory.pod, container)),
            volume_groups=self._volumes.groups(memory.pod.uid),
            user_namespace=isolation.user,
            runtime_handler=isolation.handler,
        )

    def _devices(self, pod: Pod, container: Container) -> Iterator[Device]:
        claims = {v.name: v.persistent_volume_claim for v in pod.spec.volumes}
        for wanted in container.volume_devices:
            claim = claims.get(wanted.name)
            permissions = "r" if claim and claim.read_only else "mrw"
            yield Device(wanted.device_path, self._volumes.host_path(pod, wanted.name), permissions)

    def spec(self, pod: Pod, container: Container, given: container_spec.Given) -> ContainerSpec:
        """The container's spec on this node. Raises ConfigError."""
        return container_spec.of(pod, container, given, self._node.spec)

    def _file_value(self, pod: Pod, volume: str, path: str, key: str) -> str | None:
        found = self._files.read_inside(self._volumes.host_path(pod, volume), path)
        try:
            return env_file.value(found, key) or None
        except ValueError as error:
            raise ConfigError("couldn't parse env file") from error


def _is_read_only(volume: Volume) -> bool:
    """Whether its content is the kubelet's to write. Source: readOnly of pkg/volume's SetUp attributes."""
    if volume.persistent_volume_claim is not None:
        return volume.persistent_volume_claim.read_only
    return any((volume.config_map, volume.secret, volume.projected, volume.downward_api))
