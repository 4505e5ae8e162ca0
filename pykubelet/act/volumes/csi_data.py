"""What is written down of a storage driver's volumes, so that they can be taken away by whoever comes after.

The files `vol_data.json` are the genuine kubelet's. Source: saveVolumeData in pkg/volume/csi.
"""

import dataclasses
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from nodekit import whole_file
from pykubelet.act import mount, removal
from pykubelet.decide import csi
from pykubelet.model.ids import Uid

_FILE = "vol_data.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """A volume in a Pod's folder. `folder` holds the data and `mount`, the volume itself."""

    folder: Path
    driver: str
    handle: str
    ephemeral: bool = False

    @property
    def target(self) -> Path:
        """What containers get."""
        return self.folder / "mount"


@dataclasses.dataclass(frozen=True, slots=True)
class Mapped:
    """A volume that a Pod has as a raw device: its persistent volume's name, and where the driver put the device."""

    name: str
    driver: str
    handle: str
    device: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """A volume that may be attached to this node and staged here. `block`: its persistent volume, if a raw device."""

    driver: str
    handle: str
    block: str = ""


class CSIData:
    """`root` is the kubelet's."""

    def __init__(self, root: Path, *, node: str) -> None:
        self._root = root
        self._devices = root / "plugins/kubernetes.io/csi/volumeDevices"
        self._node = node

    def held(self) -> Iterator[Held]:
        """What processes before this one may have left attached or staged."""
        for one in self.published():
            if not one.ephemeral:
                yield Held(one.driver, one.handle)
        for driver in _folders(self._root / "plugins/kubernetes.io/csi"):
            for staged in _folders(driver):
                if _is_whole(found := _read(staged)):
                    yield Held(found["driverName"], found["volumeHandle"])
        for volume in _folders(self._devices):
            if _is_whole(found := _read(volume / "data")):
                yield Held(found["driverName"], found["volumeHandle"], volume.name)

    def is_had(self, held: Held) -> bool:
        """Whether a Pod has the volume."""
        if held.block:
            return _has_any(self._devices / "publish" / held.block)
        return any((one.driver, one.handle) == (held.driver, held.handle) for one in self.published())

    def staging(self, driver: str, handle: str) -> Path:
        """Where a volume is staged, for all Pods that use it."""
        return self._root / "plugins/kubernetes.io/csi" / driver / csi.staging_folder(handle) / "globalmount"

    def note_staged(self, driver: str, handle: str) -> Path:
        """Make the folder to stage at, and write down what is staged there; the folder."""
        staging = self.staging(driver, handle)
        staging.mkdir(parents=True, exist_ok=True, mode=0o750)
        _write(staging.parent, {"volumeHandle": handle, "driverName": driver})
        return staging

    def note_published(self, published: Published, *, name: str) -> None:
        """Write down what is about to be published in a Pod's folder. `name` is the volume's own."""
        published.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        data = {
            "specVolID": name,
            "volumeHandle": published.handle,
            "driverName": published.driver,
            "nodeName": self._node,
            "volumeLifecycleMode": "Ephemeral" if published.ephemeral else "Persistent",
            "attachmentID": csi.attachment(published.handle, driver=published.driver, node=self._node),
        }
        _write(published.folder, data)

    def published_of(self, pod_folder: Path) -> Iterator[Published]:
        """What was published in a Pod's folder."""
        base = pod_folder / "volumes" / csi.PLUGIN
        for entry in _folders(base):
            found = _read(entry)
            if _is_whole(found):
                ephemeral = found.get("volumeLifecycleMode") == "Ephemeral"
                yield Published(entry, found["driverName"], found["volumeHandle"], ephemeral)

    def published(self) -> Iterator[Published]:
        """What was published in any Pod's folder."""
        for pod in _folders(self._root / "pods"):
            yield from self.published_of(pod)

    def staging_of(self, held: Held) -> Path:
        """Where a volume is staged, if it is."""
        return self.block_staging(held.block) if held.block else self.staging(held.driver, held.handle)

    def forget(self, held: Held) -> None:
        """Remove what is left of a volume that no Pod has any more. OSError while it is still mounted."""
        if held.block:
            self._forget_block(held.block)
        else:
            self._forget_staged(held.driver, held.handle)

    def forget_published(self, published: Published) -> None:
        """Remove what is left of it. OSError while it is still mounted."""
        target = published.target
        if target.exists():
            if mount.is_file_system(target):
                raise OSError(16, "still mounted after the driver unpublished it", str(target))
            target.rmdir()
        removal.remove_tree(published.folder)

    def _forget_staged(self, driver: str, handle: str) -> None:
        staging = self.staging(driver, handle)
        if staging.exists():
            if mount.is_file_system(staging):
                raise OSError(16, "still mounted after the driver unstaged it", str(staging))
            staging.rmdir()
        removal.remove_tree(staging.parent)

    def device(self, name: str, uid: Uid) -> Path:
        """Where the driver puts the device of a persistent volume for one Pod."""
        return self._devices / "publish" / name / uid

    def block_staging(self, name: str) -> Path:
        """Where a device is staged, for all Pods that use it."""
        return self._devices / "staging" / name

    def note_mapped(self, mapped: Mapped) -> Path:
        """Make the folders for a device and write down whose it is; where to stage it."""
        data = self._devices / mapped.name / "data"
        for folder in (data, mapped.device.parent, self.block_staging(mapped.name)):
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        _write(data, {"volumeHandle": mapped.handle, "driverName": mapped.driver, "specVolID": mapped.name})
        return self.block_staging(mapped.name)

    def link(self, mapped: Mapped, slot_folder: Path) -> None:
        """Note in the Pod's folder that it has the device. `slot_folder` is `<pod>/volumes/<plugin>/<name>`."""
        link = slot_folder.parent.parent.parent / "volumeDevices" / csi.PLUGIN / mapped.name
        link.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        link.unlink(missing_ok=True)
        link.symlink_to(mapped.device)

    def mapped_of(self, pod_folder: Path, *, tried: Collection[str] = ()) -> Iterator[Mapped]:
        """The devices a Pod has, or may have as somebody `tried` to give it those of these persistent volumes."""
        uid = Uid(pod_folder.name)
        for data in _folders(self._devices):
            found, device = _read(data / "data"), self.device(data.name, uid)
            if _is_whole(found) and (device.exists() or data.name in tried):
                yield Mapped(data.name, found["driverName"], found["volumeHandle"], device)

    def forget_device(self, mapped: Mapped) -> None:
        """Remove what is left of a Pod's device."""
        mapped.device.unlink(missing_ok=True)

    def _forget_block(self, name: str) -> None:
        for folder in (self._devices / "publish" / name, self.block_staging(name)):
            if folder.exists():
                folder.rmdir()
        removal.remove_tree(self._devices / name)


def _folders(base: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(base) if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _has_any(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_whole(data: dict[str, str]) -> bool:
    return "driverName" in data and "volumeHandle" in data


def _write(folder: Path, data: dict[str, str]) -> None:
    whole_file.write(folder / _FILE, json.dumps(data).encode() + b"\n", mode=0o644)


def _read(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / _FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
