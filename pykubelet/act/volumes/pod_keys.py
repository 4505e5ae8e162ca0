"""Makes private keys of the types a podCertificate projection can ask for, with the proof a signer wants."""

from typing import NamedTuple, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

_Key: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class PodKey(NamedTuple):
    """A private key (PKCS #8, PEM), and a PKCS #10 request (DER) that names nobody and is signed with it."""

    private: bytes
    proof: bytes

    def __repr__(self) -> str:
        return "PodKey()"


def make(key_type: str) -> PodKey:
    """A new key; an RSA one takes up to a second of CPU. ValueError for an unknown type."""
    key = _make(key_type)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else _hash_for(key)
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, algorithm)
    return PodKey(private, request.public_bytes(serialization.Encoding.DER))


def _make(key_type: str) -> _Key:
    match key_type:
        case "RSA3072" | "RSA4096":
            return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type.removeprefix("RSA")))
        case "ECDSAP256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ECDSAP384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ECDSAP521":
            return ec.generate_private_key(ec.SECP521R1())
        case "ED25519":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            raise ValueError(f'unknown key type "{key_type}"')


def _hash_for(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256:
        return hashes.SHA384() if key.key_size == 384 else hashes.SHA512()
    return hashes.SHA256()
