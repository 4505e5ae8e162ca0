"""A Pod's volumes as it asks for them. Source: core/v1 Volume; the in-tree kinds that a Linux kubelet still serves."""

from nodekit.objects.base import Object
from nodekit.objects.meta import ObjectMeta
from pykubelet.model.container import ObjectFieldSelector, ResourceFieldSelector, ResourceRequirements


class LocalObjectReference(Object):
    name: str = ""


class KeyToPath(Object):
    key: str
    path: str
    mode: int | None = None


class HostPathSource(Object):
    path: str
    type: str = ""


class EmptyDirSource(Object):
    medium: str = ""
    """`""` (disk), `Memory`, `HugePages` or `HugePages-<size>`."""
    size_limit: str | None = None


class SecretSource(Object):
    """A Secret as files. `default_mode` and item modes are the decimal form of an octal mode."""

    secret_name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = 0o644
    optional: bool = False


class ConfigMapSource(Object):
    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = 0o644
    optional: bool = False


class DownwardAPIFile(Object):
    path: str
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: int | None = None


class DownwardAPISource(Object):
    items: tuple[DownwardAPIFile, ...] = ()
    default_mode: int = 0o644


class KeyProjection(Object):
    """A Secret or ConfigMap inside a projected volume."""

    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    optional: bool = False


class DownwardAPIProjection(Object):
    items: tuple[DownwardAPIFile, ...] = ()


class ServiceAccountTokenProjection(Object):
    path: str
    audience: str = ""
    expiration_seconds: int = 3600


class LabelSelectorRequirement(Object):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Object):
    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class ClusterTrustBundleProjection(Object):
    path: str
    name: str | None = None
    signer_name: str | None = None
    label_selector: LabelSelector | None = None
    optional: bool = False


class PodCertificateProjection(Object):
    signer_name: str = ""
    key_type: str = ""
    max_expiration_seconds: int | None = None
    credential_bundle_path: str = ""
    key_path: str = ""
    certificate_chain_path: str = ""
    user_annotations: dict[str, str] = {}


class VolumeProjection(Object):
    secret: KeyProjection | None = None
    config_map: KeyProjection | None = None
    downward_api: DownwardAPIProjection | None = None
    service_account_token: ServiceAccountTokenProjection | None = None
    cluster_trust_bundle: ClusterTrustBundleProjection | None = None
    pod_certificate: PodCertificateProjection | None = None


class ProjectedSource(Object):
    sources: tuple[VolumeProjection, ...] = ()
    default_mode: int = 0o644


class NFSSource(Object):
    server: str
    path: str
    read_only: bool = False


class PersistentVolumeClaimSource(Object):
    claim_name: str
    read_only: bool = False


class CSISource(Object):
    driver: str
    read_only: bool = False
    fs_type: str | None = None
    volume_attributes: dict[str, str] = {}
    node_publish_secret_ref: LocalObjectReference | None = None


class ImageSource(Object):
    reference: str = ""
    pull_policy: str = ""


class ClaimSpec(Object):
    access_modes: tuple[str, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    storage_class_name: str | None = None
    volume_mode: str | None = None
    volume_name: str = ""


class ClaimTemplate(Object):
    spec: ClaimSpec
    metadata: ObjectMeta | None = None


class EphemeralSource(Object):
    volume_claim_template: ClaimTemplate | None = None


class Volume(Object):
    """A named volume: exactly one source is set; none known means a kind this kubelet does not serve."""

    name: str
    host_path: HostPathSource | None = None
    empty_dir: EmptyDirSource | None = None
    secret: SecretSource | None = None
    config_map: ConfigMapSource | None = None
    downward_api: DownwardAPISource | None = None
    projected: ProjectedSource | None = None
    nfs: NFSSource | None = None
    persistent_volume_claim: PersistentVolumeClaimSource | None = None
    csi: CSISource | None = None
    ephemeral: EphemeralSource | None = None
    image: ImageSource | None = None
