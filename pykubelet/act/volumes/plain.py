"""Volumes without content of ours: emptyDir on disk or in memory, hostPath, image volumes."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from nodekit.objects import quantity
from pykubelet.act import mount
from pykubelet.act.volumes import ownership
from pykubelet.act.volumes.kinds import Slot, Stateless, VolumeError
from pykubelet.decide import huge_pages, resources
from pykubelet.model.volume import Volume


class EmptyDir(Stateless):
    """A fresh folder that every container may write, a tmpfs bounded by size limit and memory, or huge pages."""

    plugin = "kubernetes.io~empty-dir"

    def __init__(self, memory_allocatable: int) -> None:
        self._memory_allocatable = memory_allocatable

    def serves(self, volume: Volume) -> bool:
        return volume.empty_dir is not None

    async def fill(self, slot: Slot) -> None:
        source = slot.volume.empty_dir
        assert source is not None
        if not slot.folder.exists():
            ownership.intend(slot.folder, slot.pod)
            slot.folder.mkdir(parents=True)
            slot.folder.chmod(0o777)
        if source.medium == "Memory":
            if not mount.is_file_system(slot.folder):
                ownership.intend(slot.folder, slot.pod)
                mount.tmpfs(slot.folder, options=f"size={self._size(slot)}")
        elif source.medium.startswith("HugePages"):
            if not mount.is_file_system(slot.folder):
                ownership.intend(slot.folder, slot.pod)
                mount.huge_pages(slot.folder, page_size=huge_pages.of(slot.pod, source.medium))
        elif source.medium:
            raise VolumeError(f'unknown storage medium "{source.medium}"')
        ownership.give(slot.folder, slot.folder, slot.pod)

    def path(self, slot: Slot) -> Path:
        return slot.folder

    def _size(self, slot: Slot) -> int:
        """The least of: the node's memory for Pods, the Pod's memory limit, the volume's own limit; bytes."""
        sizes = [self._memory_allocatable]
        limits = resources.pod_limits(slot.pod)
        containers = (*slot.pod.spec.init_containers, *slot.pod.spec.containers)
        if all(resources.MEMORY in container.resources.limits for container in containers):
            sizes.append(limits[resources.MEMORY].value)
        source = slot.volume.empty_dir
        if source is not None and source.size_limit and (own := quantity.parse(source.size_limit).value):
            sizes.append(own)
        return min(sizes)


_EXPECTED: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "directory"),
    "File": (stat.S_ISREG, "file"),
    "Socket": (stat.S_ISSOCK, "socket"),
    "CharDevice": (stat.S_ISCHR, "character device"),
    "BlockDevice": (stat.S_ISBLK, "block device"),
}


class HostPath(Stateless):
    """A path of the node itself, checked or made as its type asks. Nothing of it lies in the Pod's folder."""

    plugin = "kubernetes.io~host-path"

    def serves(self, volume: Volume) -> bool:
        return volume.host_path is not None

    async def fill(self, slot: Slot) -> None:
        source = slot.volume.host_path
        assert source is not None
        if source.type:
            _check(Path(source.path), source.type)

    def path(self, slot: Slot) -> Path:
        source = slot.volume.host_path
        assert source is not None
        return Path(source.path)


def _check(path: Path, type_: str) -> None:
    """Raises VolumeError unless the path is, or now becomes, what the type asks for."""
    test, what = _EXPECTED[type_.removesuffix("OrCreate")]
    try:
        if type_ == "DirectoryOrCreate" and not path.exists():
            path.mkdir(parents=True, mode=0o755)
        elif type_ == "FileOrCreate" and not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        mode = path.stat().st_mode
    except OSError as error:
        raise VolumeError(f"hostPath type check failed: {path} is not a {what}: {error.strerror}") from error
    if not test(mode):
        raise VolumeError(f"hostPath type check failed: {path} is not a {what}")


class Image(Stateless):
    """An image's files; the runtime mounts them, so there is nothing on our side of the disk."""

    plugin = "kubernetes.io~image"

    def serves(self, volume: Volume) -> bool:
        return volume.image is not None

    async def fill(self, slot: Slot) -> None:
        return None

    def path(self, slot: Slot) -> Path:
        return slot.folder
