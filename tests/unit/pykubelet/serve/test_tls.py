"""A server and a client of the standard library shake hands in memory."""

import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import pytest

from pykubelet.config import parts
from pykubelet.config.settings import Settings
from pykubelet.serve import openssl, tls
from pykubelet.serve.certificates import Pair
from tests.unit.pykubelet.serve.certificate_maker import CLIENTS, Made, make

NOW = dt.datetime.now(dt.UTC)
CA = make("kubernetes", ca=True, now=NOW)
OTHER = make("other", ca=True, now=NOW)
SERVER = make("server", by=CA, now=NOW)


class Wire:
    """A client and a server whose bytes go from one buffer to the other."""

    def __init__(self, listener: tls.Listener, client: ssl.SSLContext) -> None:
        self._up, self._down = (ssl.MemoryBIO(), ssl.MemoryBIO()), (ssl.MemoryBIO(), ssl.MemoryBIO())
        self.server = listener.wrap_bio(self._up[0], self._down[1], server_side=True)
        self.client = client.wrap_bio(self._down[0], self._up[1], server_hostname="server")

    def carry(self) -> None:
        for into, out_of in (self._up, self._down):
            into.write(out_of.read())

    def shake_hands(self) -> None:
        waiting: list[Any] = [self.client.do_handshake, self.server.do_handshake]
        for _ in range(6):
            for step in list(waiting):
                self.carry()
                try:
                    step()
                    waiting.remove(step)
                except ssl.SSLWantReadError:
                    continue
        self.carry()
        assert not waiting


def write(path: Path, *data: bytes) -> Path:
    path.write_bytes(b"".join(data))
    return path


def pair_in(folder: Path, made: Made) -> Pair:
    return Pair(write(folder / "server.crt", made.pem), write(folder / "server.key", made.key_pem))


def listener(folder: Path, **told: Any) -> tls.Listener:
    authority = write(folder / "ca.crt", CA.pem)
    asked = parts.Authentication(x509=parts.X509(client_ca_file=str(authority)))
    pair = pair_in(folder, SERVER)
    return tls.Listener(Settings(authentication=asked, **told), lambda: pair)


def client(folder: Path, made: Made | None = None, *, highest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=CA.pem.decode() + OTHER.pem.decode())
    context.check_hostname = False
    if made:
        context.load_cert_chain(write(folder / "client.pem", made.pem, made.key_pem))
    if highest:
        context.maximum_version = highest
    return context


@pytest.mark.parametrize(
    ("made", "name"),
    [
        pytest.param(None, None, id="a client without a certificate"),
        pytest.param(make("good", by=CA, usage=[CLIENTS], now=NOW), "good", id="one of our CA"),
        pytest.param(make("foreign", by=OTHER, usage=[CLIENTS], now=NOW), "foreign", id="one of a foreign CA"),
        pytest.param(make("old", by=CA, valid=(-2, -1), now=NOW), "old", id="one that has expired"),
    ],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_connection_is_made_whatever_certificate_is_shown(
    tmp_path: Path, made: Made | None, name: str | None, version: ssl.TLSVersion
) -> None:
    wire = Wire(listener(tmp_path), client(tmp_path, made, highest=version))
    wire.shake_hands()
    assert [one.subject.rfc4514_string() for one in wire.server.chain[:1]] == ([f"CN={name}"] if name else [])
    wire.client.write(b"hello")
    wire.carry()
    assert wire.server.read(100) == b"hello"
    buffer = bytearray(10)
    wire.client.write(b"again")
    wire.carry()
    assert wire.server.read(10, memoryview(buffer)) == 5
    sent = 0
    while sent < 40_000:
        sent += wire.server.write(b"x" * (40_000 - sent))
    wire.carry()
    received = b""
    while len(received) < 40_000:
        received += wire.client.read(1 << 16)
    with pytest.raises(ssl.SSLWantReadError):
        wire.client.unwrap()
    wire.carry()
    assert wire.server.read(10) == b""
    wire.server.unwrap()
    wire.carry()
    wire.client.unwrap()


@pytest.mark.parametrize(
    ("told", "highest", "agreed"),
    [
        pytest.param({}, ssl.TLSVersion.TLSv1_2, "TLSv1.2", id="1.2 by default"),
        pytest.param({"tls_min_version": "VersionTLS13"}, ssl.TLSVersion.TLSv1_2, None, id="not where 1.3 is asked"),
        pytest.param({"tls_min_version": "VersionTLS13"}, None, "TLSv1.3", id="1.3 where it is asked"),
        pytest.param(
            {"tls_cipher_suites": ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",)},
            ssl.TLSVersion.TLSv1_2,
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            id="the cipher that is configured",
        ),
        pytest.param(
            {"tls_cipher_suites": ("TLS_AES_128_GCM_SHA256",)}, ssl.TLSVersion.TLSv1_2, None, id="ciphers of 1.3 alone"
        ),
    ],
)
def test_version_and_cipher_are_the_configured_ones(
    tmp_path: Path, told: dict[str, Any], highest: ssl.TLSVersion | None, agreed: str | None
) -> None:
    wire = Wire(listener(tmp_path, **told), client(tmp_path, highest=highest))
    if agreed is None:
        with pytest.raises(ssl.SSLError, match="unsupported protocol"):
            wire.shake_hands()
        return
    wire.shake_hands()
    assert agreed in wire.server.cipher()


def test_a_replaced_certificate_serves_the_next_connection_and_half_of_one_none(tmp_path: Path) -> None:
    served = listener(tmp_path)

    def serial() -> int:
        wire = Wire(served, client(tmp_path))
        wire.shake_hands()
        found = wire.client.getpeercert()
        return int(str(found["serialNumber"]), 16) if found else 0

    assert serial() == SERVER.certificate.serial_number
    newer = make("server", by=CA, now=NOW)
    write(tmp_path / "server.crt", newer.pem)
    assert serial() == SERVER.certificate.serial_number
    write(tmp_path / "server.key", newer.key_pem)
    assert serial() == newer.certificate.serial_number


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        pytest.param("server.key", b"", {}, id="a key that is none"),
        pytest.param("ca.crt", b"nothing", {}, id="a CA file without a CA"),
        pytest.param("other", b"", {"tls_cipher_suites": ("TLS_RSA_WITH_NOTHING",)}, id="a cipher that is none"),
    ],
)
def test_what_cannot_be_served_is_said_at_the_start(
    tmp_path: Path, name: str, text: bytes, told: dict[str, Any]
) -> None:
    made = listener(tmp_path)
    write(tmp_path / name, text)
    settings = Settings(authentication=made._settings.authentication, **told)
    with pytest.raises(OSError, match="NOTHING" if told else name):
        tls.check(settings, made._newest())


def test_what_is_no_tls_ends_the_handshake(tmp_path: Path) -> None:
    incoming = ssl.MemoryBIO()
    incoming.write(b"GET / HTTP/1.1\r\n\r\n")
    server: openssl.Connection = listener(tmp_path).wrap_bio(incoming, ssl.MemoryBIO())
    with pytest.raises(ssl.SSLError, match="http request"):
        server.do_handshake()
