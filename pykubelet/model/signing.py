"""The CertificateSigningRequest, by which the node gets its certificates. Source: certificates.k8s.io/v1 of 1.37."""

from typing import Final

from nodekit.objects.base import Object
from nodekit.objects.meta import ApiObject
from nodekit.objects.resource import Resource
from pykubelet.model.certificates import RequestCondition


class SigningRequestSpec(Object):
    """`request` is a PKCS #10 request in PEM."""

    request: bytes = b""
    signer_name: str = ""
    usages: tuple[str, ...] = ()
    expiration_seconds: int | None = None


class SigningRequestStatus(Object):
    """`certificate` is PEM, the node's own first. `Approved` may stand long before there is one."""

    conditions: tuple[RequestCondition, ...] = ()
    certificate: bytes = b""


class SigningRequest(ApiObject):
    """Asks a signer of the control plane for a certificate."""

    spec: SigningRequestSpec = SigningRequestSpec()
    status: SigningRequestStatus = SigningRequestStatus()


SIGNING_REQUESTS: Final = Resource(
    SigningRequest,
    "certificates.k8s.io/v1",
    "CertificateSigningRequest",
    "certificatesigningrequests",
    namespaced=False,
)
