"""Keeps a certificate with its key in a folder: `<stem>-<time>.pem`; `<stem>-current.pem` points at the newest one.

Names, modes and the order within a file are the genuine agent's, so that either takes over what the other left.
Source: client-go util/certificate/certificate_store.go.
"""

from datetime import datetime
from pathlib import Path

from nodekit import whole_file
from pykubelet.act.identity import x509
from pykubelet.decide.identity import Held


class Store:
    """One kind of certificate; `stem` is `kubelet-client` or `kubelet-server`."""

    def __init__(self, folder: Path, stem: str) -> None:
        self.current = folder / f"{stem}-current.pem"
        self._folder = folder
        self._stem = stem
        self._seen: tuple[int, int] | None = None
        self._held: Held | None = None

    async def held(self) -> Held | None:
        """What the current certificate says; None if there is none. Raises CertificateError if it cannot be read."""
        try:
            found = self.current.stat()
            text = self.current.read_bytes()
        except FileNotFoundError:
            self._seen = self._held = None
            return None
        except OSError as error:
            raise x509.CertificateError(f"{self.current}: {error.strerror}") from error
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._seen:
            self._held = await x509.inspect(text, name=str(self.current))
            self._seen = stamp
        return self._held

    def save(self, certificate: bytes, key: bytes, *, now: datetime) -> Path:
        """Write both to a file of their own, then point at it in one step: a reader finds the old or the new pair.

        Raises OSError.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        if self.current.exists() and not self.current.is_symlink():
            raise OSError(f"{self.current} should be a symbolic link, and is a file: move it away")
        path = self._folder / f"{self._stem}-{now:%Y-%m-%d-%H-%M-%S}.pem"
        write(path, certificate.rstrip() + b"\n" + key)
        pointer = self._folder / f"{self._stem}-updated.pem"
        pointer.unlink(missing_ok=True)
        pointer.symlink_to(path.absolute())
        pointer.replace(self.current)
        return path


def write(path: Path, data: bytes) -> None:
    """Replace a file in one step, readable by its owner alone, on the disk when this returns. Raises OSError."""
    whole_file.write(path, data, mode=0o600, flush=True, via=f".{path.name}.new")
