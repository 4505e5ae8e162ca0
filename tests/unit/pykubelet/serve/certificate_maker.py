"""Certificates of every kind, made in a millisecond each."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
CLIENTS = x509.ExtendedKeyUsageOID.CLIENT_AUTH
SERVERS = x509.ExtendedKeyUsageOID.SERVER_AUTH


@dataclasses.dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def make(
    *names: str,
    by: Made | None = None,
    ca: bool | None = None,
    usage: Sequence[x509.ObjectIdentifier] = (),
    valid: tuple[float, float] = (-1, 1),
    groups: Sequence[str] = (),
    now: dt.datetime = NOW,
) -> Made:
    """One signed `by` another or by itself; `valid` are hours from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*parts, *(x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names)])
    builder = x509.CertificateBuilder(
        issuer_name=by.certificate.subject if by else subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now + dt.timedelta(hours=valid[0]),
        not_valid_after=now + dt.timedelta(hours=valid[1]),
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usage)), critical=False)
    return Made(builder.sign(by.key if by else key, hashes.SHA256()), key)
