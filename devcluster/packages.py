"""The Debian packages the cluster leans on: say which are missing, and install them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from devcluster import shell
from devcluster.errors import DevClusterError
from devcluster.layout import cache_home
from devcluster.progress import Reporter

# What shows that a package is there (a program, or a file if it has a slash) -> the package.
FOR_CLUSTER = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "findmnt": "util-linux",
    "nft": "nftables",
    "iptables": "iptables",  # CNI's portmap plugin calls it
    "conntrack": "conntrack",
    "modprobe": "kmod",
    "docker-registry": "docker-registry",
}
FOR_GO_BUILDS = {"gcc": "gcc", "pkg-config": "pkg-config", "/usr/include/seccomp.h": "libseccomp-dev"}
FOR_IMAGES = {
    "gcc": "gcc",
    "/usr/include/stdio.h": "libc6-dev",
    "debootstrap": "debootstrap",
    "busybox": "busybox-static",
}


def missing(needed: Mapping[str, str]) -> list[str]:
    """Names of the packages that are not installed."""
    lacking = (
        package
        for evidence, package in needed.items()
        if not (Path(evidence).exists() if "/" in evidence else shell.has(evidence))
    )
    return sorted(set(lacking))


def ensure(needed: Mapping[str, str], report: Reporter) -> None:
    """Install what is missing, by name."""
    lacking = missing(needed)
    if not lacking:
        return
    names = " ".join(lacking)
    if not shell.has("apt-get"):
        raise DevClusterError("packages", f"{names} (Debian's names) are missing", hint="install them and try again")
    log = cache_home() / "log" / "apt.log"
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with report.step(f"install {names}", about=20):
        try:
            shell.logged("apt-get update", ["apt-get", "update", "-q"], log=log, env=quiet, timeout=300)
            arguments = ["install", "-q", "-y", "--no-install-recommends", *lacking]
            shell.logged("apt-get install", ["apt-get", *arguments], log=log, env=quiet, timeout=900)
        except DevClusterError as error:
            hint = f"apt-get install {names}"
            raise DevClusterError(f"install {names}", error.why, log=log, hint=hint) from error
