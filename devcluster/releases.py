"""Fetch official release files and trust them only by their published SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import socket
import tarfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devcluster import failures
from devcluster.errors import DevClusterError
from devcluster.tools import Release, Tool

_CHUNK = 1 << 18
_PROBE_SECONDS = 4.0


class UnreachableError(DevClusterError):
    """The release site can't be reached or is too slow: another source may do."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where releases are. `template` makes a URL of host and path: https://{host}/{path}, or a mirror's.

    A read that waits longer than `stall` seconds, or a download slower than `min_rate` bytes/s after `grace` seconds,
    is given up.
    """

    template: str = "https://{host}/{path}"
    stall: float = 20.0
    min_rate: float = 50_000.0
    grace: float = 20.0

    def url(self, location: str) -> str:
        host, _, path = location.partition("/")
        return self.template.format(host=host, path=path)


def configured_site() -> Site:
    """$DEVCLUSTER_RELEASES is a mirror's prefix (prefix/dl.k8s.io/...) or a template with {host} and {path}."""
    given = os.environ.get("DEVCLUSTER_RELEASES", "")
    if not given:
        return Site()
    return Site(given if "{path}" in given else f"{given.rstrip('/')}/{{host}}/{{path}}")


def reachable(site: Site, location: str) -> bool:
    """Whether the site of this file accepts a connection within a few seconds."""
    url = urllib.request.urlparse(site.url(location))  # type: ignore[attr-defined]
    port = url.port or (443 if url.scheme == "https" else 80)
    with contextlib.suppress(OSError):
        socket.create_connection((url.hostname, port), _PROBE_SECONDS).close()
        return True
    return False


def fetch(site: Site, tool: Tool, target: Path, *, seen: Callable[[int, int], None] = lambda done, total: None) -> Path:
    """Download a tool's release, verify it, and put the binary at `target`, executable.

    `seen(done, total)` is told of bytes as they come. An archive is kept beside `target` for its other members.
    UnreachableError: no answer, too slow, or no such release. DevClusterError: the checksum differs.
    """
    release = tool.release
    if release is None:
        raise UnreachableError(tool.name, "it is not released as a binary")
    target.parent.mkdir(parents=True, exist_ok=True)
    expected = checksum(_text(site, release.checksums, tool.name), release)
    if not release.member:
        part = _download(site, release.path, target.with_name(f"{target.name}.part"), expected, seen)
        return _install(part, target)
    archive = target.parent / f".{expected[:16]}-{Path(release.path).name}"
    if not archive.exists():
        _download(site, release.path, archive.with_suffix(".part"), expected, seen).replace(archive)
    part = target.with_name(f"{target.name}.part")
    with tarfile.open(archive) as tar:
        wanted = release.member.removeprefix("./")
        member = next((found for found in tar if found.name.removeprefix("./") == wanted and found.isfile()), None)
        source = tar.extractfile(member) if member is not None else None
        if source is None:
            raise DevClusterError(tool.name, f"{release.path} holds no {release.member}")
        with part.open("wb") as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)
    return _install(part, target)


def checksum(text: str, release: Release) -> str:
    """The SHA-256 of the release file, from a bare digest or `sha256sum` lines."""
    name = release.path.rpartition("/")[2]
    for line in text.splitlines():
        words = line.split()
        if words and len(words[0]) == 64 and (len(words) == 1 or words[-1].lstrip("*").rpartition("/")[2] == name):
            return words[0].lower()
    raise DevClusterError(name, f"{release.checksums} holds no SHA-256 of it")


def _install(part: Path, target: Path) -> Path:
    part.chmod(0o755)
    return part.replace(target)


def _text(site: Site, location: str, what: str) -> str:
    url = site.url(location)
    try:
        with urllib.request.urlopen(url, timeout=site.stall) as answer:
            body: bytes = answer.read(1 << 20)
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(what, f"{url}: {error}") from error
    return body.decode(errors="replace")


def _download(site: Site, location: str, target: Path, expected: str, seen: Callable[[int, int], None]) -> Path:
    url = site.url(location)
    digest = hashlib.sha256()
    done, started = 0, time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=site.stall) as answer, target.open("wb") as file:
            total = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read1(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
                done += len(chunk)
                seen(done, total)
                spent = time.monotonic() - started
                if spent > site.grace and done / spent < site.min_rate:
                    raise UnreachableError(target.name, f"{url} is too slow: {done} bytes in {spent:.0f} s")
            if total and done < total:
                raise UnreachableError(target.name, f"{url} broke off after {done} of {total} bytes")
    except UnreachableError:
        target.unlink(missing_ok=True)
        raise
    except (OSError, http.client.HTTPException) as error:
        target.unlink(missing_ok=True)
        if failures.no_room(error):
            raise failures.full_disk(target.name, str(target)) from error
        raise UnreachableError(target.name, f"{url}: {error}") from error
    if digest.hexdigest() != expected:
        target.unlink(missing_ok=True)
        raise DevClusterError(
            target.name.removesuffix(".part"),
            f"{url} has SHA-256 {digest.hexdigest()}, but {expected} was published: it is not used",
            hint="the download or the mirror is corrupt; try again, or give a folder with --binaries",
        )
    return target
