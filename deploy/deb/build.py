"""Build the Debian package from a folder of wheels: build.py WHEELS FOLDER [--version V]. Needs dpkg-deb, no network.

The package holds a whole virtual environment, /opt/pykubelet, for the Python minor version that runs this script; the
units and settings of systemd/; and the maintainer scripts beside this file. Prints the path of the package.
"""

from __future__ import annotations

import argparse
import compileall
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
REPOSITORY: Final = HERE.parents[1]
HOME: Final = Path("/opt/pykubelet")
PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
SCRIPTS: Final = ("preinst", "postinst", "prerm", "postrm")
# Where files of the repository go. What is below /etc is the administrator's to change: dpkg treats it as conffiles.
PLACES: Final = {
    "systemd/kubelet.service": "usr/lib/systemd/system/kubelet.service",
    "systemd/kubelet.service.d/10-kubeadm.conf": "usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf",
    "systemd/pyproxy.service": "usr/lib/systemd/system/pyproxy.service",
    "systemd/pyproxy.default": "etc/default/pyproxy",
    "systemd/modules-load.conf": "etc/modules-load.d/pykubelet.conf",
    "systemd/sysctl.conf": "etc/sysctl.d/90-pykubelet.conf",
    "LICENSE": "usr/share/doc/pykubelet/copyright",
}
# `kubelet` is the command that kubeadm and units look for; preinst puts a genuine one aside.
COMMANDS: Final = {"pykubelet": "pykubelet", "kubelet": "pykubelet", "pyproxy": "pyproxy"}


def main() -> None:
    """Build it."""
    parser = argparse.ArgumentParser(description="Build the Debian package of pykubelet and pyproxy.")
    parser.add_argument("wheels", type=Path, help="the folder that `make wheels` fills")
    parser.add_argument("target", type=Path, help="the folder to put the package into")
    parser.add_argument("--version", help="the package's version, instead of the wheel's")
    given = parser.parse_args()
    wheels = sorted(given.wheels.glob("*.whl"))
    ours = next((wheel for wheel in wheels if wheel.name.startswith("pykubelet-")), None)
    if ours is None:
        sys.exit(f"{given.wheels} holds no wheel of pykubelet: `make wheels` puts it there")
    version = given.version or ours.name.split("-")[1]
    with tempfile.TemporaryDirectory(prefix="pykubelet-deb-") as scratch:
        root = Path(scratch) / "root"
        _environment(root, ours, given.wheels)
        _place(root)
        _control(root, version=version, glibc=glibc(wheel.name for wheel in wheels), kubernetes=_kubernetes(ours))
        print(_pack(root, given.target, version))


def glibc(wheels: Iterable[str]) -> str:
    """The oldest glibc on which all of these wheels run, as 2.N, from the platform tags of their names."""
    needs = [0]
    for name in wheels:
        text = name.replace("manylinux2014", "manylinux_2_17").replace("manylinux1", "manylinux_2_5")
        if tags := re.findall(r"manylinux_2_(\d+)", text):
            needs.append(min(int(tag) for tag in tags))
    return f"2.{max(needs)}"


def _kubernetes(wheel: Path) -> str:
    """The version of Kubernetes that our kubelet says it is."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("pykubelet/__init__.py").decode()
    found = re.search(r'^KUBERNETES_VERSION = "(.+)"$', text, re.MULTILINE)
    if found is None:
        sys.exit(f"{wheel}: pykubelet/__init__.py names no KUBERNETES_VERSION")
    return found.group(1)


def _environment(root: Path, ours: Path, wheels: Path) -> None:
    """A virtual environment that is at home in /opt/pykubelet, though it is made elsewhere."""
    home = root / HOME.relative_to("/")
    library = home / "lib" / f"python{PYTHON}" / "site-packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    subprocess.run([*pip, "--no-compile", "--find-links", wheels, "--target", library, ours], check=True)
    shutil.rmtree(library / "bin")
    shutil.rmtree(library / "devcluster")  # makes clusters to develop on; no part of a node
    (home / "bin").mkdir()
    for name in ("python3", "python"):
        (home / "bin" / name).symlink_to(f"/usr/bin/python{PYTHON}")
    (home / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n")
    for name in sorted(set(COMMANDS.values())):
        command = home / "bin" / name
        command.write_text(f"#!{HOME}/bin/python3\nimport sys\n\nfrom {name}.cli import main\n\nsys.exit(main())\n")
        command.chmod(0o755)
    _settle(root)
    if not compileall.compile_dir(library, quiet=1, stripdir=str(root), prependdir="/"):
        sys.exit("not all modules compile")


def _place(root: Path) -> None:
    for source, place in PLACES.items():
        target = root / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / source, target)
    (root / "usr/bin").mkdir(parents=True)
    for name, command in COMMANDS.items():
        (root / "usr/bin" / name).symlink_to(HOME / "bin" / command)
    changes = (REPOSITORY / "CHANGELOG.md").read_bytes()
    (root / "usr/share/doc/pykubelet/changelog.gz").write_bytes(gzip.compress(changes, mtime=_when()))


def _control(root: Path, *, version: str, glibc: str, kubernetes: str) -> None:
    control = root / "DEBIAN"
    control.mkdir()
    size = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir()) // 1024
    next_minor = f"{sys.version_info.major}.{sys.version_info.minor + 1}"
    values = {
        "version": version,
        "architecture": _run("dpkg", "--print-architecture"),
        "size": str(size),
        "kubernetes": kubernetes,
        "depends": f"python3 (>= {PYTHON}~), python3 (<< {next_minor}~), libc6 (>= {glibc})",
    }
    (control / "control").write_text((HERE / "control").read_text().format(**values))
    (control / "conffiles").write_text("".join(f"/{place}\n" for place in PLACES.values() if place.startswith("etc/")))
    for name in SCRIPTS:
        shutil.copyfile(HERE / name, control / name)
        (control / name).chmod(0o755)


def _pack(root: Path, target: Path, version: str) -> Path:
    _settle(root)
    target.mkdir(parents=True, exist_ok=True)
    package = target / f"pykubelet_{version}_{_run('dpkg', '--print-architecture')}.deb"
    # zstd packs in seconds what xz takes half a minute for; dpkg of Debian 12 and of Ubuntu 22.04 reads it.
    command = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z6", "--build", str(root), str(package)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"SOURCE_DATE_EPOCH": str(_when())})
    return package


def _settle(root: Path) -> None:
    """Modes and times that depend on nobody's umask and clock; compiled modules carry their source's time."""
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (_when(), _when()))
    root.chmod(0o755)


def _when() -> int:
    """The time of the last commit, in seconds since 1970, or SOURCE_DATE_EPOCH."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    asked = ["git", "-C", str(REPOSITORY), "log", "-1", "--format=%ct"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip() else 1_790_000_000


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
