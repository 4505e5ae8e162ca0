"""Where a Pod's volumes are mounted inside one another. No I/O. Source: pkg/volume/util/nested_volumes.go."""

import posixpath
from collections.abc import Iterator

from pykubelet.model.container import Container
from pykubelet.model.pod import Pod


def nested(pod: Pod, volume: str) -> tuple[str, ...]:
    """Folders that a volume needs because some container mounts another one below it; relative to the volume.

    The runtime could not make them in a volume that is mounted read-only.
    """
    spec = pod.spec
    containers = (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)
    return tuple(dict.fromkeys(path for container in containers for path in _of(container, volume)))


def _of(container: Container, volume: str) -> Iterator[str]:
    paths = sorted(posixpath.normpath(mount.mount_path) for mount in container.volume_mounts)
    for mount in container.volume_mounts:
        if mount.name != volume:
            continue
        base = f"{posixpath.normpath(mount.mount_path)}/"
        made: list[str] = []
        for path in paths:
            inside = path.startswith(base) and not any(path.startswith(f"{outer}/") for outer in made)
            if inside:
                made.append(path)
                yield path.removeprefix(base)
