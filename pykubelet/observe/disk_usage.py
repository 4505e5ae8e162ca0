"""How much space folders take: a Pod's logs and its volumes on the node's disk."""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pykubelet import meters
from pykubelet.decide.summary import Files, VolumeSize
from pykubelet.model.ids import Uid
from pykubelet.model.machine import Filesystem
from pykubelet.model.usage import MountedVolume
from pykubelet.observe import machine

_BLOCK: Final = 512
_NFS: Final = "kubernetes.io~nfs"


@dataclass(frozen=True, slots=True)
class Taken:
    """Space on disk in bytes, and files."""

    used: int = 0
    inodes: int = 0


def of_folder(top: str | os.PathLike[str]) -> Taken:
    """Everything below a folder and itself, on its own filesystem; what vanishes meanwhile is not counted."""
    try:
        found = os.lstat(top)
    except OSError:
        return Taken()
    used, inodes, device = found.st_blocks * _BLOCK, 1, found.st_dev
    seen: set[int] = set()
    folders = [os.fspath(top)]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if found.st_dev != device or (found.st_nlink > 1 and found.st_ino in seen):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif found.st_nlink > 1:
                seen.add(found.st_ino)
            used, inodes = used + found.st_blocks * _BLOCK, inodes + 1
    return Taken(used, inodes)


def of_pod(uid: Uid, *, root: Path, logs: Path, mounted: Collection[MountedVolume] = ()) -> Files:
    """What a Pod's files take. `root` is the kubelet's folder, `logs` the Pod's own log folder.

    What is `mounted` lies elsewhere, and claims' volumes have other names here: all that is left out. So is every
    folder of an NFS server, whoever mounted it: one that is away would not even tell what the folder is.
    """
    foreign = {Path(one.folder) for one in mounted} | {Path(one.folder).parent for one in mounted}
    device = _device(root)
    volumes = {}
    for folder in (root / "pods" / uid / "volumes").glob("kubernetes.io~*/*"):
        if folder in foreign or folder.parent.name == _NFS:
            continue
        own = None
        if _device(folder) != device:
            with meters.volume_sizing.labels("statfs").time():
                own = _filesystem(folder)
        with meters.volume_sizing.labels("du").time():
            taken = of_folder(folder)
        volumes[folder.name] = VolumeSize(taken.used, taken.inodes, own)
    sizes = {folder.name: of_folder(folder) for folder in _folders(logs)}
    return Files({name: (taken.used, taken.inodes) for name, taken in sizes.items()}, volumes)


def of_mount(volume: MountedVolume, disk: Filesystem) -> VolumeSize:
    """A mounted volume, which has this filesystem to itself."""
    claim = (volume.namespace, volume.claim) if volume.claim else None
    return VolumeSize(disk.used, disk.inodes - disk.inodes_free, disk, claim)


def of_mounted(volume: MountedVolume) -> Filesystem | None:
    """The filesystem of a volume that is mounted by the kernel alone; None if it is gone."""
    with meters.volume_sizing.labels("statfs").time():
        return _filesystem(Path(volume.folder))


def _filesystem(folder: Path) -> Filesystem | None:
    try:
        return machine.filesystem(folder)
    except OSError:
        return None


def _folders(path: Path) -> Iterable[Path]:
    try:
        return [entry for entry in path.iterdir() if entry.is_dir()]
    except OSError:
        return ()


def _device(path: Path) -> int | None:
    try:
        return path.stat().st_dev
    except OSError:
        return None
