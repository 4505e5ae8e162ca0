"""Makes a key and a self-signed serving certificate and prints both: `python -m ... NODE EPOCH_SECONDS ADDRESS...`."""

import datetime as dt
import ipaddress
import sys
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = dt.timedelta(days=365)


def pair(node: str, addresses: Sequence[str], *, now: dt.datetime) -> tuple[bytes, bytes]:
    """Key (PKCS #8) and certificate, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{node}@{int(now.timestamp())}")])
    names: list[x509.GeneralName] = [x509.DNSName(node)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


if __name__ == "__main__":
    made = pair(sys.argv[1], sys.argv[3:], now=dt.datetime.fromtimestamp(float(sys.argv[2]), dt.UTC))
    sys.stdout.buffer.write(b"".join(made))
