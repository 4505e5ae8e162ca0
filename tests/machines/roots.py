"""Roots of machines with more Debian packages than a node has: made once, from the root that all machines share."""

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from devcluster.progress import Reporter
from tests.machines import ground

_NO_START: Final = "#!/bin/sh\nexit 101\n"
# What makes a root a node, and may stand in the way of what a package brings.
_OF_NODES: Final = (
    "usr/local/bin/containerd",
    "usr/local/bin/containerd-shim-runc-v2",
    "usr/local/bin/ctr",
    "usr/local/bin/runc",
    "usr/lib/systemd/system/containerd.service",
    "etc/systemd/system/multi-user.target.wants/containerd.service",
    "etc/containerd",
)


def with_packages(name: str, packages: Sequence[str], report: Reporter, *, node: bool = False) -> Path:
    """The root of a machine with these packages; only if it is a `node` does it have containerd.

    No service is started by installing it. Another list of packages, or another root beneath, is another root.
    """
    base = ground.root(report)
    key = hashlib.sha256(" ".join((base.name, str(node), *sorted(packages))).encode()).hexdigest()[:8]
    found = ground.home() / f"{name}-{key}"
    if found.exists():
        return found
    part = ground.home() / f"{name}-{key}.part"
    shutil.rmtree(part, ignore_errors=True)
    with report.step(f"make a Debian with {' '.join(packages)}", about=40):
        copy(base, part)
        if not node:
            for path in _OF_NODES:
                remove(part / path)
        resolv = (part / "etc/resolv.conf").read_text()
        shutil.copyfile("/etc/resolv.conf", part / "etc/resolv.conf")
        start = part / "usr/sbin/policy-rc.d"
        start.write_text(_NO_START)
        start.chmod(0o755)
        install = f"apt-get update -q && apt-get install -yq --no-install-recommends {' '.join(packages)}"
        inside(part, f"{install} && apt-get clean && rm -rf /var/lib/apt/lists/*")
        start.unlink()
        (part / "etc/resolv.conf").write_text(resolv)
        quieten(part)
    return part.rename(found)


def copy(source: Path, target: Path) -> None:
    """A whole root, with owners, links and modes."""
    subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)


def remove(path: Path) -> None:
    """A file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def inside(root: Path, script: str) -> None:
    """A shell script with the root as its own. Raises RuntimeError with what it said."""
    environment = {
        "DEBIAN_FRONTEND": "noninteractive",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    done = subprocess.run(
        ["chroot", root, "sh", "-e", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"in {root}: {script}\nexit {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")


def quieten(root: Path) -> None:
    """Packages bring settings of fs.* and kernel.*, which would reach the kernel that all machines share."""
    for path in (root / "usr/lib/sysctl.d").glob("*.conf"):
        path.unlink()
