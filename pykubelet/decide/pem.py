"""Read and write PEM text: the blocks in it, without headers and what stands between. No I/O."""

import base64
import binascii
import re
import textwrap
from collections.abc import Iterable

_BLOCK = re.compile(r"-----BEGIN ([^-\n]+)-----[ \t\r]*\n(.*?)-----END \1-----", re.DOTALL)


def blocks(text: str) -> tuple[bytes, ...]:
    """The bytes of each block in order; one that is no base64 is left out."""
    found = []
    for match in _BLOCK.finditer(text):
        lines = (line for line in match[2].splitlines() if ":" not in line)
        try:
            found.append(base64.b64decode("".join("".join(lines).split()), validate=True))
        except binascii.Error:
            continue
    return tuple(found)


def certificates(found: Iterable[bytes]) -> bytes:
    """The certificates as PEM."""
    return b"".join(map(_certificate, found))


def _certificate(der: bytes) -> bytes:
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n".encode()
