"""Who a client certificate speaks for, judged against a CA file as it stands. No connection is needed for it.

As in the genuine kubelet it is judged at each request: a certificate that expired meanwhile, or whose CA was taken out
of the file, is nobody's on a connection that is open already. Imported when the first client brings a certificate.
"""

import datetime as dt
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pykubelet.serve import stamps
from pykubelet.serve.identity import AUTHENTICATED, Distrusted, Identity

CREDENTIAL: Final = "authentication.kubernetes.io/credential-id"
_CLIENT: Final = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})

log = logging.getLogger(__name__)


class Authority:
    """The CAs in a file, which is read again when it changes; while it cannot be read, the former ones hold."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: stamps.Stamp | None = None
        self._store: verification.Store | None = None

    def who(self, chain: Sequence[x509.Certificate], *, now: dt.datetime) -> Identity | None:
        """Whose the first certificate is, the others leading from it to a CA; None if it names nobody.

        Raises Distrusted.
        """
        store = self._newest()
        if store is None:
            raise Distrusted(f"no CA could be read from {self._path}")
        policy = verification.PolicyBuilder().store(store).time(now)
        policy = policy.extension_policies(ca_policy=_OF_CAS, ee_policy=_OF_CLIENTS)
        try:
            policy.build_client_verifier().verify(chain[0], list(chain[1:]))
            return of_subject(chain[0])
        except (verification.VerificationError, ValueError) as error:
            raise Distrusted(f"a client certificate is not trusted: {error}") from error

    def _newest(self) -> verification.Store | None:
        now = stamps.of(self._path)
        if now != self._seen:
            self._seen = now
            try:
                self._store = verification.Store(x509.load_pem_x509_certificates(self._path.read_bytes()))
            except (OSError, ValueError) as error:
                log.warning("client CA file %s: %s; the CAs read before still hold", self._path, error)
        return self._store


def of_subject(certificate: x509.Certificate) -> Identity | None:
    """The last common name is the user, the organizations are the groups."""
    names = [_text(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if not names or not names[-1]:
        return None
    groups = tuple(_text(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    print_ = certificate.fingerprint(hashes.SHA256()).hex()
    return Identity(names[-1], groups=(*groups, AUTHENTICATED), extra={CREDENTIAL: (f"X509SHA256={print_}",)})


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def _for_clients(_: verification.Policy, __: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    if usage is not None and _CLIENT.isdisjoint(usage):
        raise ValueError("its extended key usage is not client authentication")


def _is_ca(_: verification.Policy, __: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("its issuer is no CA")


def _signs(_: verification.Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("its issuer's key may not sign certificates")


def _policies() -> tuple[verification.ExtensionPolicy, verification.ExtensionPolicy]:
    """What Go's verifier asks of CAs and of clients: the Web's rules ask for more than cluster CAs have."""
    any_ = verification.Criticality.AGNOSTIC
    clients = verification.ExtensionPolicy.permit_all().may_be_present(x509.ExtendedKeyUsage, any_, _for_clients)
    cas = clients.require_present(x509.BasicConstraints, any_, _is_ca).may_be_present(x509.KeyUsage, any_, _signs)
    return cas, clients


_OF_CAS, _OF_CLIENTS = _policies()
