"""TLS for asyncio that asks a client for its certificate and takes any: whether it is trusted is told apart later.

The standard library can only ask and verify in one: a client with a foreign certificate would have its connection
broken, where the genuine kubelet answers 401. Imported at the first connection: pyOpenSSL takes 11 MiB.
"""

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from OpenSSL import SSL

T = TypeVar("T")
BLOCK: Final = 64 * 1024
RECORD: Final = 16 * 1024
"""Bytes of a TLS record: what one read gives at most."""
_VERSIONS: Final = {ssl.TLSVersion.TLSv1_2: SSL.TLS1_2_VERSION, ssl.TLSVersion.TLSv1_3: SSL.TLS1_3_VERSION}


def context(*, certificate: Path, key: Path, authority: str, minimum: ssl.TLSVersion, ciphers: str) -> SSL.Context:
    """A server's context. With an `authority` (a PEM file) clients are asked for a certificate of its CAs.

    `ciphers` is in OpenSSL's notation and about TLS 1.2. Raises ssl.SSLError.
    """
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    made.set_min_proto_version(_VERSIONS[minimum])
    # A resumed session would bring the client's certificate without its chain.
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    made.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    try:
        made.set_cipher_list(ciphers.encode())
        made.use_certificate_chain_file(str(certificate))
        made.use_privatekey_file(str(key))
        made.check_privatekey()
        if authority:
            made.load_client_ca(authority.encode())
            made.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    except SSL.Error as error:
        raise ssl.SSLError(_words(error)) from error
    return made


class Connection:
    """One side of a connection, with the methods of ssl.SSLObject that asyncio calls."""

    def __init__(self, context: SSL.Context, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._incoming, self._outgoing = incoming, outgoing
        self._chain: Sequence[x509.Certificate] | None = None

    @property
    def chain(self) -> Sequence[x509.Certificate]:
        """The client's certificates, its own first and none of them verified; empty if it showed none."""
        if self._chain is None:
            own = self._tls.get_peer_certificate(as_cryptography=True)
            others = self._tls.get_peer_cert_chain(as_cryptography=True) or []
            self._chain = () if own is None else (own, *(one for one in others if one != own))
        return self._chain

    def do_handshake(self) -> None:
        """Raises ssl.SSLWantReadError when more of the client is needed, ssl.SSLError when it cannot be."""
        self._run(self._tls.do_handshake)

    def read(self, size: int, buffer: memoryview | None = None) -> bytes | int:
        """What the client sent, or how much of it was put into the buffer; none when it has ended. Raises likewise."""
        try:
            if buffer is None:
                return self._run(lambda: self._tls.recv(min(size, RECORD)))
            return self._run(lambda: self._tls.recv_into(buffer, size))
        except ssl.SSLZeroReturnError:
            return b"" if buffer is None else 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """How much of it was taken. Raises likewise."""
        return self._run(lambda: self._tls.send(data)) if len(data) else 0

    def unwrap(self) -> None:
        """Say that this is the end. Raises ssl.SSLWantReadError until the client has said so too."""
        if not self._run(self._tls.shutdown):
            raise ssl.SSLWantReadError

    def getpeercert(self) -> None:
        """Nothing: none is verified here."""

    def cipher(self) -> tuple[str, str, int]:
        """The cipher's name, the protocol's, and the key's length in bits."""
        name, version = self._tls.get_cipher_name(), self._tls.get_cipher_version()
        return name or "", version or "", self._tls.get_cipher_bits() or 0

    def compression(self) -> None:
        """There is none."""

    def _run(self, call: Callable[[], T]) -> T:
        if self._incoming.pending:
            self._tls.bio_write(self._incoming.read())
        try:
            return call()
        except SSL.WantReadError as error:
            raise ssl.SSLWantReadError from error
        except SSL.ZeroReturnError as error:
            raise ssl.SSLZeroReturnError from error
        except SSL.SysCallError as error:
            raise ssl.SSLEOFError(str(error)) from error
        except SSL.Error as error:
            raise ssl.SSLError(_words(error)) from error
        finally:
            self._send()

    def _send(self) -> None:
        try:
            while True:
                self._outgoing.write(self._tls.bio_read(BLOCK))
        except SSL.WantReadError:
            return


def _words(error: SSL.Error) -> str:
    """OpenSSL's reasons: `no shared cipher`."""
    found = error.args[0] if error.args else ()
    return ", ".join(one[-1] for one in found) if isinstance(found, list) else str(error)
