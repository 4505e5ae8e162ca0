"""Other versions of containerd than the cluster's own: a folder of binaries that goes before all others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from devcluster import binaries, layout, packages, shell, tools, versions
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
        # Not installed: this machine's own runtime, if any, is left alone.
        target = layout.cache_home() / "bin" / f"containerd-{versions.DEBIAN}"
        return packages.take_apart(_FROM_DEBIAN, target, report)
    found = binaries.resolve(tools.containerd(version), report)
    return found["containerd"].parent


def version_of(program: Path) -> tuple[int, int]:
    """Major and minor version of a containerd binary."""
    said = shell.run(str(program), [program, "--version"])
    found = re.search(r"\sv?(\d+)\.(\d+)\.", said)
    if found is None:
        raise DevClusterError(str(program), f"`--version` names no version: {said.strip()}")
    return int(found.group(1)), int(found.group(2))
