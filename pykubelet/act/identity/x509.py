"""Asks the process that knows certificates for a key with its request, or for what a certificate says."""

import asyncio
import sys
from typing import Final, NamedTuple

import msgspec

from pykubelet.decide.identity import Held, Wanted

_END: Final = b"-----BEGIN CERTIFICATE REQUEST-----"
_TIMEOUT: Final = 60.0


class Made(NamedTuple):
    """A private key and the PKCS #10 request signed with it, both PEM."""

    key: bytes
    pkcs10: bytes

    def __repr__(self) -> str:
        return "Made()"


class CertificateError(Exception):
    """A key cannot be made, or a file holds no certificate that can be read; says which."""


async def make(wanted: Wanted) -> Made:
    """A new key and its request. Raises CertificateError."""
    return split(await _run("request", data=msgspec.json.encode(wanted), about="a signing request"))


async def inspect(pem: bytes, *, name: str) -> Held:
    """What the first certificate in the text says; `name` is for errors. Raises CertificateError."""
    return msgspec.json.decode(await _run("inspect", data=pem, about=name), type=Held)


def split(text: bytes) -> Made:
    """The key and the request out of PEM text that holds both in this order."""
    key, mark, request = text.partition(_END)
    return Made(key, mark + request)


async def _run(what: str, *, data: bytes, about: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pykubelet.act.identity.x509_process",
        what,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_TIMEOUT):
            out, complaint = await process.communicate(data)
    except TimeoutError as error:
        raise CertificateError(f"{about}: no answer within {_TIMEOUT:g}s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise CertificateError(f"{about}: {last}")
    return out
