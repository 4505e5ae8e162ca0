"""Persistent volumes and the drivers that serve them, as a node sees them. Source: core/v1, storage.k8s.io/v1."""

from typing import Final

from nodekit.objects.base import Object
from nodekit.objects.meta import ApiObject, ObjectReference
from nodekit.objects.resource import Resource
from pykubelet.model.container import ResourceList
from pykubelet.model.pod import NodeSelector
from pykubelet.model.volume import ClaimSpec, HostPathSource, NFSSource

BLOCK: Final = "Block"
"""The volume mode of a raw device; the other one is `Filesystem`."""


class SecretReference(Object):
    """A Secret of any namespace."""

    name: str = ""
    namespace: str = ""


class CSIPersistentSource(Object):
    """A volume that a driver knows by its handle."""

    driver: str
    volume_handle: str
    read_only: bool = False
    fs_type: str = ""
    volume_attributes: dict[str, str] = {}
    node_stage_secret_ref: SecretReference | None = None
    node_publish_secret_ref: SecretReference | None = None
    node_expand_secret_ref: SecretReference | None = None


class LocalSource(Object):
    """A folder or a device of one node."""

    path: str
    fs_type: str | None = None


class VolumeNodeAffinity(Object):
    """The nodes a volume can be reached from."""

    required: NodeSelector | None = None


class PersistentVolumeSpec(Object):
    """Exactly one source is set; none known means a kind this kubelet does not serve."""

    capacity: ResourceList = {}
    access_modes: tuple[str, ...] = ()
    mount_options: tuple[str, ...] = ()
    volume_mode: str = "Filesystem"
    claim_ref: ObjectReference | None = None
    node_affinity: VolumeNodeAffinity | None = None
    csi: CSIPersistentSource | None = None
    nfs: NFSSource | None = None
    local: LocalSource | None = None
    host_path: HostPathSource | None = None


class PersistentVolume(ApiObject):
    """A piece of storage."""

    spec: PersistentVolumeSpec = PersistentVolumeSpec()


class ClaimCondition(Object):
    """What a claim waits for, such as `FileSystemResizePending`: that a node grows the file system."""

    type: str = ""
    status: str = ""


class ClaimStatus(Object):
    """`phase` is `Bound` once the volume of `spec.volumeName` is the claim's."""

    phase: str = ""
    capacity: ResourceList = {}
    allocated_resource_statuses: dict[str, str] = {}
    conditions: tuple[ClaimCondition, ...] = ()


class PersistentVolumeClaim(ApiObject):
    """What a Pod names to get a volume."""

    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class TokenAudience(Object):
    """A token of the Pod's that the driver wants."""

    audience: str = ""
    expiration_seconds: int | None = None


class CSIDriverSpec(Object):
    """What a driver wants of a kubelet; the defaults are those of a driver without such an object."""

    attach_required: bool = True
    pod_info_on_mount: bool = False
    fs_group_policy: str = "ReadWriteOnceWithFSType"
    volume_lifecycle_modes: tuple[str, ...] = ("Persistent",)
    token_requests: tuple[TokenAudience, ...] = ()
    requires_republish: bool = False
    service_account_token_in_secrets: bool = False


class CSIDriver(ApiObject):
    """A driver of the cluster, named as its plugins name themselves."""

    spec: CSIDriverSpec = CSIDriverSpec()


class AttachmentStatus(Object):
    """`attachment_metadata` is handed to the driver as its publish context."""

    attached: bool = False
    attachment_metadata: dict[str, str] = {}


class VolumeAttachment(ApiObject):
    """Whether a volume is attached to a node."""

    status: AttachmentStatus = AttachmentStatus()


PERSISTENT_VOLUMES: Final = Resource(PersistentVolume, "v1", "PersistentVolume", "persistentvolumes", namespaced=False)
PERSISTENT_VOLUME_CLAIMS: Final = Resource(
    PersistentVolumeClaim, "v1", "PersistentVolumeClaim", "persistentvolumeclaims"
)
CSI_DRIVERS: Final = Resource(CSIDriver, "storage.k8s.io/v1", "CSIDriver", "csidrivers", namespaced=False)
VOLUME_ATTACHMENTS: Final = Resource(
    VolumeAttachment, "storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", namespaced=False
)
