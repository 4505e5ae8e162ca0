"""Keys and certificates of a cluster: the authorities, the API server, and a client certificate for each identity.

EC P-256 throughout (made in a millisecond), but RSA for service-account tokens, which every verifier understands.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from devcluster import files
from devcluster.spec import DOMAIN, ClusterSpec

_LIFETIME = datetime.timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a certificate speaks for: `user` is the common name, `groups` the organisations."""

    user: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """Files of one certificate and its key."""

    cert: Path
    key: Path


def pair(folder: Path, name: str) -> Pair:
    return Pair(folder / f"{name}.crt", folder / f"{name}.key")


def authority(folder: Path, name: str, common_name: str) -> Pair:
    """A certificate authority; made once."""
    made = pair(folder, name)
    if made.cert.exists():
        return made
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(Subject(common_name), key.public_key()).issuer_name(_name(Subject(common_name)))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_usage(authority=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    _write(made, builder.sign(key, hashes.SHA256()), key)
    return made


def client(ca: Pair, made: Pair, subject: Subject) -> Pair:
    """A client certificate of this authority; made once."""
    return _issue(ca, made, subject, ())


def serving(ca: Pair, made: Pair, subject: Subject, names: Iterable[str]) -> Pair:
    """A server certificate for these DNS names and addresses; made once."""
    return _issue(ca, made, subject, tuple(names))


def _issue(ca: Pair, made: Pair, subject: Subject, names: tuple[str, ...]) -> Pair:
    if made.cert.exists():
        return made
    issuer = x509.load_pem_x509_certificate(ca.cert.read_bytes())
    issuer_key = serialization.load_pem_private_key(ca.key.read_bytes(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = _builder(subject, key.public_key()).issuer_name(issuer.subject)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(authority=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
        )
    _write(made, builder.sign(issuer_key, hashes.SHA256()), key)
    return made


def token_keys(folder: Path) -> tuple[Path, Path]:
    """The key that signs service-account tokens and its public half; made once."""
    private, public = folder / "sa.key", folder / "sa.pub"
    if not public.exists():
        key = rsa.generate_private_key(65537, 2048)
        files.write(private, _key_pem(key), mode=0o600)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        files.write(public, key.public_key().public_bytes(serialization.Encoding.PEM, form))
    return private, public


def api_server_names(spec: ClusterSpec) -> list[str]:
    """What an API server may be called by, inside and outside."""
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}"]
    names += ["localhost", "127.0.0.1", "::1"]
    for plan in spec.nets:
        first = ipaddress.ip_network(plan.services)[1]
        names += [str(first), plan.balancer, *(plan.control_plane(index) for index in range(1, spec.api_servers + 1))]
    return names


def _builder(subject: Subject, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )


def _name(subject: Subject) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in subject.groups]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, subject.user)])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(made: Pair, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    files.write(made.key, _key_pem(key), mode=0o600)
    files.write(made.cert, cert.public_bytes(serialization.Encoding.PEM))  # last: its presence means the pair is whole


def _key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
