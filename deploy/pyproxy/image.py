"""Build pyproxy's image from the Debian package, and the manifest that runs it: image.py PACKAGE FOLDER.

The image is an OCI layout as a tar: a small Debian with Python is its lower layer, the files of the package the upper.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from devcluster import images, oci
from devcluster.progress import Reporter

REPOSITORY: Final = "docker.io/library/pyproxy"
PACKAGES: Final = ("ca-certificates", "iptables", "kmod", "python3")
COMMAND: Final = "/opt/pykubelet/bin/pyproxy"


def main() -> None:
    """Build it; prints the image's name."""
    parser = argparse.ArgumentParser(description="Build pyproxy's image from the Debian package.")
    parser.add_argument("package", type=Path, help="build/pykubelet_VERSION_ARCH.deb")
    parser.add_argument("folder", type=Path, help="where to put pyproxy-image.tar and pyproxy.yaml")
    given = parser.parse_args()
    name = build(given.package, given.folder / "pyproxy-image.tar")
    manifest = Path(__file__).with_name("daemonset.yaml").read_text()
    (given.folder / "pyproxy.yaml").write_text(manifest.replace("IMAGE", name))
    print(name)


def build(package: Path, archive: Path) -> str:
    """The image's name, tagged with the package's version."""
    asked = ["dpkg-deb", "--field", str(package), "Version"]
    version = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    name = f"{REPOSITORY}:{re.sub(r'[^A-Za-z0-9_.-]', '-', version)}"
    base = images.debian_root(Reporter(), PACKAGES)
    with tempfile.TemporaryDirectory(prefix="pyproxy-image-") as scratch:
        store = oci.Store(Path(scratch) / "store")
        lower, upper = Path(scratch) / "lower.tar", Path(scratch) / "upper.tar"
        lower.write_bytes(base.read_bytes())
        with upper.open("wb") as file:
            subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, stdout=file)
        layers = [
            store.add_file(lower, oci.LAYER),
            store.add_file(upper, oci.LAYER),
            # kubeadm's own DaemonSet calls it by this name
            store.add_layer(oci.Tree(links={"usr/local/bin/kube-proxy": COMMAND})),
        ]
        environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"]
        store.add_image([name], {"Entrypoint": [COMMAND], "Env": environment}, layers)
        shutil.move(oci.archive(store, name), archive)
    return name


if __name__ == "__main__":
    main()
