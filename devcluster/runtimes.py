"""Other versions of containerd than the cluster's own: a folder of binaries that goes before all others."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from devcluster import binaries, layout, shell, tools, versions
from devcluster.errors import DevClusterError
from devcluster.progress import Reporter

DEBIAN: Final = "debian"
KNOWN: Final = (DEBIAN, versions.CONTAINERD_BEFORE, versions.CONTAINERD)
_FROM_DEBIAN: Final = {
    "containerd": ("usr/bin/containerd", "usr/bin/containerd-shim-runc-v2", "usr/bin/ctr"),
    "runc": ("usr/sbin/runc",),
}


def folder(version: str, report: Reporter) -> Path:
    """A folder with this containerd, its shim and ctr; with `debian`, the release's own and its runc."""
    if version == DEBIAN:
        return _debian(report)
    found = binaries.resolve(tools.containerd(version), report)
    return found["containerd"].parent


def version_of(program: Path) -> tuple[int, int]:
    """Major and minor version of a containerd binary."""
    said = shell.run(str(program), [program, "--version"])
    found = re.search(r"\sv?(\d+)\.(\d+)\.", said)
    if found is None:
        raise DevClusterError(str(program), f"`--version` names no version: {said.strip()}")
    return int(found.group(1)), int(found.group(2))


def _debian(report: Reporter) -> Path:
    """The packages are taken apart, not installed: this machine's own runtime, if any, is left alone."""
    target = layout.cache_home() / "bin" / f"containerd-{versions.DEBIAN}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    log = layout.cache_home() / "log" / "containerd-debian.log"
    with report.step("download Debian's containerd", about=20), tempfile.TemporaryDirectory() as scratch:
        shell.logged("apt-get update", ["apt-get", "update", "-q"], log=log, timeout=300)
        shell.logged("apt-get download", ["apt-get", "download", *_FROM_DEBIAN], log=log, cwd=Path(scratch))
        part = Path(scratch) / "part"
        part.mkdir()
        for package, programs in _FROM_DEBIAN.items():
            archive = next(Path(scratch).glob(f"{package}_*.deb"))
            shell.logged("dpkg-deb", ["dpkg-deb", "--extract", archive, Path(scratch) / package], log=log)
            for program in programs:
                shutil.copy2(Path(scratch) / package / program, part)
        shutil.move(part, target)
    return target
