"""TLS of :10250: versions and ciphers as the configuration names them, and files that are read again when replaced."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

from pykubelet.config.settings import Settings
from pykubelet.serve.certificates import Pair

RELOAD = 10.0
"""Seconds between looks at the files."""
VERSIONS = {
    "VersionTLS10": ssl.TLSVersion.TLSv1_2,  # nothing below 1.2 is offered
    "VersionTLS11": ssl.TLSVersion.TLSv1_2,
    "VersionTLS12": ssl.TLSVersion.TLSv1_2,
    "VersionTLS13": ssl.TLSVersion.TLSv1_3,
    "": ssl.TLSVersion.TLSv1_2,
}

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


def context(settings: Settings, pair: Pair) -> ssl.SSLContext:
    """What to listen with. A client certificate is asked for if there is a CA for them, and must be good if given.

    Raises OSError or ssl.SSLError naming no file: the caller knows which.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = VERSIONS[settings.tls_min_version]
    if ciphers := [name for name in map(openssl_name, settings.tls_cipher_suites) if name]:
        made.set_ciphers(":".join(ciphers))
    made.load_cert_chain(pair.certificate, pair.key)
    if authority := settings.authentication.x509.client_ca_file:
        made.load_verify_locations(authority)
        made.verify_mode = ssl.CERT_OPTIONAL
    return made


def stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


async def keep_fresh(made: ssl.SSLContext, settings: Settings, newest: Callable[[], Pair]) -> None:
    """Give new connections what stands in the files, for as long as this runs.

    A CA that was taken out of its file is trusted until the agent restarts: OpenSSL can only add.
    """
    authority = settings.authentication.x509.client_ca_file
    seen = _stamps(newest(), authority)
    while True:
        await asyncio.sleep(RELOAD)
        pair = newest()
        now = _stamps(pair, authority)
        if now == seen:
            continue
        try:
            made.load_cert_chain(pair.certificate, pair.key)
            if authority:
                made.load_verify_locations(authority)
        except (OSError, ssl.SSLError) as error:  # half replaced: look again
            log.warning("serving certificate %s: %s; the former one stays", pair.certificate, error)
        else:
            seen = now
            log.info("serving certificate %s is read again", pair.certificate)


def _stamps(pair: Pair, authority: str) -> list[tuple[int, int]]:
    return [stamp(path) for path in (pair.certificate, pair.key, *([Path(authority)] if authority else []))]
