"""Makes keys with signing requests, and reads certificates: `python -m ... request|inspect`, told on stdin.

A process of its own: the library for it would stay in the agent's memory, with 9 MiB, for ever.
"""

import ipaddress
import json
import sys
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def request(wanted: dict[str, Any]) -> bytes:
    """A new key (SEC 1, as the genuine agent writes it) and a PKCS #10 request signed with it, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in wanted["organizations"]]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, wanted["common_name"]))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in wanted["dns_names"]]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in wanted["addresses"]]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return private + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def inspect(pem: bytes) -> dict[str, Any]:
    """What decide.identity.Held holds, of the first certificate in the text; ValueError if there is none."""
    found = x509.load_pem_x509_certificate(pem)
    names, addresses = [], []
    try:
        alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = alternative.get_values_for_type(x509.DNSName)
        addresses = [str(address) for address in alternative.get_values_for_type(x509.IPAddress)]
    except x509.ExtensionNotFound:
        pass

    def subject(what: x509.ObjectIdentifier) -> list[str]:
        return [str(attribute.value) for attribute in found.subject.get_attributes_for_oid(what)]

    return {
        "not_before": found.not_valid_before_utc.timestamp(),
        "not_after": found.not_valid_after_utc.timestamp(),
        "common_name": "".join(subject(NameOID.COMMON_NAME)),
        "organizations": subject(NameOID.ORGANIZATION_NAME),
        "dns_names": names,
        "addresses": addresses,
    }


if __name__ == "__main__":
    told = sys.stdin.buffer.read()
    if sys.argv[1] == "request":
        sys.stdout.buffer.write(request(json.loads(told)))
    else:
        print(json.dumps(inspect(told)))
