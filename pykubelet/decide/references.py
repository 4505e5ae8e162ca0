"""Which ConfigMaps and Secrets a Pod refers to. No I/O."""

import enum
from collections.abc import Iterator
from typing import NamedTuple

from nodekit.objects.meta import Key
from pykubelet.model.container import Container
from pykubelet.model.pod import Pod
from pykubelet.model.volume import ProjectedSource, Volume


class Referred(enum.Enum):
    """The kinds a Pod can refer to by name in its own namespace."""

    CONFIG_MAP = "ConfigMap"
    SECRET = "Secret"


class Reference(NamedTuple):
    """One object a Pod cannot do without, or may do without: whether it is optional is the reader's matter."""

    kind: Referred
    key: Key

    def __str__(self) -> str:
        return f"{self.kind.value} {self.key}"


def of(pod: Pod) -> frozenset[Reference]:
    """All that volumes, environments and image pulls of the Pod name."""
    spec = pod.spec
    names = {(Referred.SECRET, secret.name) for secret in spec.image_pull_secrets}
    for container in (*spec.init_containers, *spec.containers, *spec.ephemeral_containers):
        names.update(_of_container(container))
    for volume in spec.volumes:
        names.update(_of_volume(volume))
    namespace = pod.metadata.namespace
    return frozenset(Reference(kind, Key(namespace, name)) for kind, name in names if name)


def wants_trust_bundles(pod: Pod) -> bool:
    """Whether some volume of the Pod shows trust bundles, which are not referred to one by one."""
    projected = (volume.projected.sources for volume in pod.spec.volumes if volume.projected)
    return any(source.cluster_trust_bundle for sources in projected for source in sources)


def _of_container(container: Container) -> Iterator[tuple[Referred, str]]:
    for source in container.env_from:
        if source.config_map_ref:
            yield Referred.CONFIG_MAP, source.config_map_ref.name
        if source.secret_ref:
            yield Referred.SECRET, source.secret_ref.name
    for variable in container.env:
        if variable.value_from and variable.value_from.config_map_key_ref:
            yield Referred.CONFIG_MAP, variable.value_from.config_map_key_ref.name
        if variable.value_from and variable.value_from.secret_key_ref:
            yield Referred.SECRET, variable.value_from.secret_key_ref.name


def _of_volume(volume: Volume) -> Iterator[tuple[Referred, str]]:
    if volume.config_map:
        yield Referred.CONFIG_MAP, volume.config_map.name
    if volume.secret:
        yield Referred.SECRET, volume.secret.secret_name
    if volume.csi and volume.csi.node_publish_secret_ref:
        yield Referred.SECRET, volume.csi.node_publish_secret_ref.name
    if volume.projected:
        yield from _of_projected(volume.projected)


def _of_projected(projected: ProjectedSource) -> Iterator[tuple[Referred, str]]:
    for source in projected.sources:
        if source.config_map:
            yield Referred.CONFIG_MAP, source.config_map.name
        if source.secret:
            yield Referred.SECRET, source.secret.name
