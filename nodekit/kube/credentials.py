"""Certificates, keys and tokens, inline or in files, and the TLS context they make."""

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


class AuthError(Exception):
    """The credentials cannot be used; says which file and why."""


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes that stand in a configuration or in a file of their own; empty when both are."""

    data: bytes = b""
    path: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.data or self.path)

    def read(self) -> bytes:
        """The bytes as they are now; raises AuthError when the file cannot be read."""
        if self.path is None:
            return self.data
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise AuthError(f"{self.path}: {error.strerror}") from error

    def version(self) -> object:
        """Something that changes whenever the bytes do."""
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except OSError:
            return "missing"
        return (found.st_mtime_ns, found.st_ino, found.st_size)


@dataclass(frozen=True, slots=True)
class Identity:
    """What proves who we are: a client certificate with its key, or a bearer token."""

    certificate: Source = Source()
    key: Source = Source()
    token: Source = Source()


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the API servers are, in order of preference, and what proves that they are."""

    servers: tuple[str, ...]
    authority: Source = Source()
    insecure: bool = False
    server_name: str = ""


def context(cluster: Cluster, identity: Identity) -> ssl.SSLContext:
    """A TLS context for them; raises AuthError naming the bytes that do not fit."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if cluster.insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif cluster.authority:
        try:
            made.load_verify_locations(cadata=cluster.authority.read().decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise AuthError(f"{_name(cluster.authority)}: not a PEM certificate authority: {error}") from error
    else:
        made.load_default_certs()
    if identity.certificate:
        with _as_file(identity.certificate) as certificate, _as_file(identity.key) as key:
            try:
                made.load_cert_chain(certificate, key)
            except (ssl.SSLError, OSError) as error:
                names = f"{_name(identity.certificate)} with {_name(identity.key)}"
                raise AuthError(f"{names}: not a client certificate and its key: {error}") from error
    return made


def _name(source: Source) -> str:
    return str(source.path) if source.path else "inline data"


@contextlib.contextmanager
def _as_file(source: Source) -> Iterator[str]:
    """A path OpenSSL can read the bytes from; bytes without a file are held in memory only."""
    if source.path is not None:
        source.read()
        yield str(source.path)
        return
    with tempfile.TemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as file:
        file.write(source.data)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
