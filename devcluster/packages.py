"""The Debian packages the cluster leans on: say which are missing, and install them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from devcluster import files, shell
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


def take_apart(wanted: Mapping[str, Sequence[str]], target: Path, report: Reporter) -> Path:
    """A folder with these files of these packages, which are not installed: that would start their services.

    What is in `target` already stays as it is.
    """
    names = " and ".join(wanted)
    if not target.exists():
        lock = cache_home() / f"{target.name}.lock"
        with files.alone(lock, lambda: report.say(f"another devcluster downloads {names}: waiting for it")):
            if not target.exists():
                _download(wanted, target, report)
    return target


def _download(wanted: Mapping[str, Sequence[str]], target: Path, report: Reporter) -> None:
    names = " and ".join(wanted)
    if not shell.has("apt-get"):
        raise DevClusterError("packages", f"{names} (Debian's names) can't be had without apt-get")
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    log = cache_home() / "log" / f"{target.name}.log"
    with report.step(f"download Debian's {names}", about=20), tempfile.TemporaryDirectory() as scratch:
        shell.logged("apt-get update", ["apt-get", "update", "-q"], log=log, timeout=300)
        shell.logged("apt-get download", ["apt-get", "download", *wanted], log=log, cwd=Path(scratch))
        for package, contents in wanted.items():
            archive = next(Path(scratch).glob(f"{package}_*.deb"))
            shell.logged("dpkg-deb", ["dpkg-deb", "--extract", archive, Path(scratch) / package], log=log)
            for file in contents:
                shutil.copy2(Path(scratch) / package / file, part)
    part.rename(target)
