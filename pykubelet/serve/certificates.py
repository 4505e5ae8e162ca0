"""The serving certificate of :10250: the one given, or a self-signed one kept in the certificate folder."""

import dataclasses
import datetime as dt
import ssl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nodekit import whole_file

END_OF_KEY = b"-----END PRIVATE KEY-----\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    certificate: Path
    key: Path


def self_signed(folder: Path, *, node: str, addresses: Sequence[str], now: dt.datetime) -> Pair:
    """`kubelet.crt` and `kubelet.key` in `folder`, made unless both are there and still hold for an hour."""
    pair = Pair(certificate=folder / "kubelet.crt", key=folder / "kubelet.key")
    if pair.key.exists() and holds(pair.certificate, now=now):
        return pair
    folder.mkdir(parents=True, exist_ok=True)
    _make(pair, node=node, addresses=addresses, now=now)
    return pair


def _make(pair: Pair, *, node: str, addresses: Sequence[str], now: dt.datetime) -> None:
    """In a process of its own: the library that makes keys would stay in this one's memory, with 9 MiB, for ever."""
    command = [sys.executable, "-m", "pykubelet.serve.make_certificate", node, str(now.timestamp()), *addresses]
    made = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if made.returncode:
        raise OSError(f"no serving certificate could be made: {made.stderr.decode(errors='replace')[-500:]}")
    private, _, certificate = made.stdout.partition(END_OF_KEY)
    whole_file.write(pair.key, private + END_OF_KEY, mode=0o600)
    whole_file.write(pair.certificate, certificate.lstrip(), mode=0o644)


def holds(path: Path, *, now: dt.datetime) -> bool:
    """Whether the file has a certificate that is still good in an hour. It is one of a CA, as ours is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError):
        return False
    ends = [ssl.cert_time_to_seconds(str(found["notAfter"])) for found in context.get_ca_certs()]
    return bool(ends) and min(ends) > (now + dt.timedelta(hours=1)).timestamp()
