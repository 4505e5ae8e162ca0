"""Names, paths and words for a storage driver's volumes. No I/O. Source: pkg/volume/csi."""

import hashlib
from collections.abc import Collection, Iterable

from pykubelet.model.csi import Capability, Usage
from pykubelet.model.machine import Filesystem
from pykubelet.model.pod import Pod
from pykubelet.model.storage import CSIDriverSpec

PLUGIN = "kubernetes.io~csi"
_MODES = {
    "ReadWriteOnce": "SINGLE_NODE_WRITER",
    "ReadOnlyMany": "MULTI_NODE_READER_ONLY",
    "ReadWriteMany": "MULTI_NODE_MULTI_WRITER",
    "ReadWriteOncePod": "SINGLE_NODE_WRITER",
}
_FINER_MODES = {"ReadWriteOnce": "SINGLE_NODE_MULTI_WRITER", "ReadWriteOncePod": "SINGLE_NODE_SINGLE_WRITER"}


def attachment(handle: str, *, driver: str, node: str) -> str:
    """The name of the VolumeAttachment that says whether a volume is attached to a node."""
    return f"csi-{hashlib.sha256(f'{handle}{driver}{node}'.encode()).hexdigest()}"


def staging_folder(handle: str) -> str:
    """The folder of a staged volume, below its driver's."""
    return hashlib.sha256(handle.encode()).hexdigest()


def unique_name(driver: str, handle: str) -> str:
    """How a node's status names a volume that is in use."""
    return f"kubernetes.io/csi/{driver}^{handle}"


def inline_handle(pod: Pod, volume: str) -> str:
    """What the driver knows a Pod's own (ephemeral) volume by; the volume has no other id."""
    return f"csi-{hashlib.sha256(f'{pod.uid}{volume}'.encode()).hexdigest()}"


def access_mode(modes: Collection[str], capabilities: Collection[Capability]) -> str:
    """CSI's word for the first of a volume's access modes."""
    mode = next(iter(modes), "ReadWriteOnce")
    if Capability.SINGLE_NODE_MULTI_WRITER in capabilities and mode in _FINER_MODES:
        return _FINER_MODES[mode]
    return _MODES.get(mode, "UNKNOWN")


def gives_to_group(driver: CSIDriverSpec, *, fs_type: str, modes: Collection[str] | None) -> bool:
    """Whether the kubelet hands the files to the Pod's fsGroup. `modes` None: a Pod's own volume."""
    if driver.fs_group_policy == "None":
        return False
    if driver.fs_group_policy == "File":
        return True
    return bool(fs_type) and (modes is None or not {"ReadWriteOnce", "ReadWriteOncePod"}.isdisjoint(modes))


def pod_info(pod: Pod, *, ephemeral: bool) -> dict[str, str]:
    """What a driver is told of the Pod if it wants to know."""
    prefix = "csi.storage.k8s.io"
    return {
        f"{prefix}/pod.name": pod.metadata.name,
        f"{prefix}/pod.namespace": pod.metadata.namespace,
        f"{prefix}/pod.uid": pod.metadata.uid,
        f"{prefix}/serviceAccount.name": pod.spec.service_account_name,
        f"{prefix}/ephemeral": str(ephemeral).lower(),
    }


def filesystem(found: Iterable[Usage]) -> Filesystem | None:
    """What a driver says of a volume, as a filesystem; None if it says nothing of its bytes."""
    by_unit = {one.unit: one for one in found}
    space, files = by_unit.get("BYTES"), by_unit.get("INODES")
    if space is None:
        return None
    return Filesystem(
        capacity=space.total,
        available=space.available,
        used=space.used,
        inodes=files.total if files is not None else 0,
        inodes_free=files.available if files is not None else 0,
    )
