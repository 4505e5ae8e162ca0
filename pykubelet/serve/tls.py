"""TLS of :10250: versions and ciphers as the configuration names them, and files that are read again when replaced."""

import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from pykubelet.config.settings import Settings
from pykubelet.serve import stamps
from pykubelet.serve.certificates import Pair

if TYPE_CHECKING:
    from OpenSSL import SSL

    from pykubelet.serve import openssl

VERSIONS: Final = {
    "VersionTLS10": ssl.TLSVersion.TLSv1_2,  # nothing below 1.2 is offered
    "VersionTLS11": ssl.TLSVersion.TLSv1_2,
    "VersionTLS12": ssl.TLSVersion.TLSv1_2,
    "VersionTLS13": ssl.TLSVersion.TLSv1_3,
    "": ssl.TLSVersion.TLSv1_2,
}
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2, where the configuration names none."""

TLS13: Final = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})

log = logging.getLogger(__name__)


def openssl_name(suite: str) -> str:
    """Go's and IANA's name of a TLS 1.2 cipher suite as OpenSSL has it; a TLS 1.3 one is empty, it is always on."""
    exchange, found, cipher = suite.removeprefix("TLS_").partition("_WITH_")
    if not found:
        return ""
    if "CHACHA20" in cipher:
        cipher = "CHACHA20_POLY1305"
    cipher = cipher.replace("AES_", "AES").replace("_CBC", "").replace("3DES_EDE", "DES_CBC3")
    return f"{'' if exchange == 'RSA' else exchange + '_'}{cipher}".replace("_", "-")


def protocol(settings: Settings) -> tuple[ssl.TLSVersion, str]:
    """The lowest version and TLS 1.2's ciphers. Suites of TLS 1.3 alone leave no cipher for 1.2."""
    suites = [openssl_name(suite) for suite in settings.tls_cipher_suites]
    named = [name for name in suites if name]
    if suites and not named:
        return ssl.TLSVersion.TLSv1_3, CIPHERS
    return VERSIONS[settings.tls_min_version], ":".join(named) or CIPHERS


def check(settings: Settings, pair: Pair) -> None:
    """Whether connections can be served so. Raises OSError (ssl.SSLError is one) that says what is wrong."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for suite in settings.tls_cipher_suites:
        if suite in TLS13:
            continue
        try:
            made.set_ciphers(openssl_name(suite) or "unknown")
        except ssl.SSLError as error:
            raise OSError(f"tlsCipherSuites: {suite} is none that OpenSSL offers") from error
    made.minimum_version, ciphers = protocol(settings)
    made.set_ciphers(ciphers)
    try:
        made.load_cert_chain(pair.certificate, pair.key)
    except OSError as error:
        raise OSError(f"serving certificate {pair.certificate} with key {pair.key}: {error}") from error
    if authority := settings.authentication.x509.client_ca_file:
        try:
            made.load_verify_locations(authority)
        except OSError as error:
            raise OSError(f"client CA file {authority}: {error}") from error


class Listener:
    """What asyncio takes for an ssl.SSLContext: each connection is served with the files as they then stand.

    `newest` is asked which pair of files that is. Files that are half replaced leave the former ones in use.
    """

    def __init__(self, settings: Settings, newest: Callable[[], Pair]) -> None:
        """Raises OSError."""
        self._settings = settings
        self._newest = newest
        self._seen: Sequence[stamps.Stamp] = ()
        self._context: SSL.Context | None = None
        check(settings, newest())

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = True,
        server_hostname: str | None = None,
    ) -> "openssl.Connection":
        """A new connection. Raises ssl.SSLError, which asyncio answers by closing it."""
        from pykubelet.serve import openssl

        return openssl.Connection(self._fresh(), incoming, outgoing)

    def as_context(self) -> ssl.SSLContext:
        """Itself, as the type that asyncio asks for; it calls `wrap_bio` alone."""
        return cast(ssl.SSLContext, self)

    def _fresh(self) -> "SSL.Context":
        from pykubelet.serve import openssl

        pair, authority = self._newest(), self._settings.authentication.x509.client_ca_file
        files = [pair.certificate, pair.key, *([Path(authority)] if authority else [])]
        seen = [stamps.of(path) for path in files]
        if self._context is not None and seen == self._seen:
            return self._context
        self._seen = seen
        minimum, ciphers = protocol(self._settings)
        try:
            made = openssl.context(
                certificate=pair.certificate, key=pair.key, authority=authority, minimum=minimum, ciphers=ciphers
            )
        except ssl.SSLError as error:
            if self._context is None:
                raise
            log.warning("serving certificate %s: %s; the former one stays", pair.certificate, error)
            return self._context
        if self._context is not None:
            log.info("serving certificate %s and client CAs are read again", pair.certificate)
        self._context = made
        return made
