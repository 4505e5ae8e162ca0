"""Trust bundles and Pod certificates, as projected volumes need them. Source: certificates.k8s.io/v1 of 1.37."""

from datetime import datetime
from typing import Final

import msgspec

from nodekit.objects.base import Object
from nodekit.objects.meta import ApiObject
from nodekit.objects.resource import Resource


class ClusterTrustBundleSpec(Object):
    """`trust_bundle` holds PEM certificates. An empty signer name: the bundle is found by its name alone."""

    signer_name: str = ""
    trust_bundle: str = ""


class ClusterTrustBundle(ApiObject):
    """Root certificates that anybody may read."""

    spec: ClusterTrustBundleSpec = ClusterTrustBundleSpec()


class PodCertificateRequestSpec(Object):
    """`stub_pkcs10_request` proves that the key is ours; it names nobody."""

    signer_name: str = ""
    pod_name: str = ""
    pod_uid: str = ""
    service_account_name: str = ""
    service_account_uid: str = ""
    node_name: str = ""
    node_uid: str = ""
    max_expiration_seconds: int | None = None
    stub_pkcs10_request: bytes = msgspec.field(name="stubPKCS10Request", default=b"")
    unverified_user_annotations: dict[str, str] = {}


class RequestCondition(Object):
    """One of `Issued`, `Denied`, `Failed` comes, and stays."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class PodCertificateRequestStatus(Object):
    """What the signer answered. The chain is PEM, the Pod's own certificate first."""

    conditions: tuple[RequestCondition, ...] = ()
    certificate_chain: str = ""
    not_before: datetime | None = None
    begin_refresh_at: datetime | None = None
    not_after: datetime | None = None


class PodCertificateRequest(ApiObject):
    """Asks a signer for a certificate of one Pod."""

    spec: PodCertificateRequestSpec = PodCertificateRequestSpec()
    status: PodCertificateRequestStatus = PodCertificateRequestStatus()


class ServiceAccount(ApiObject):
    """Only its UID is of interest here."""


_GROUP: Final = "certificates.k8s.io/v1"
CLUSTER_TRUST_BUNDLES: Final = Resource(
    ClusterTrustBundle, _GROUP, "ClusterTrustBundle", "clustertrustbundles", namespaced=False
)
POD_CERTIFICATE_REQUESTS: Final = Resource(
    PodCertificateRequest, _GROUP, "PodCertificateRequest", "podcertificaterequests"
)
SERVICE_ACCOUNTS: Final = Resource(ServiceAccount, "v1", "ServiceAccount", "serviceaccounts")
