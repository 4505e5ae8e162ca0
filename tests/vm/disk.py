"""What a QEMU guest boots from: Debian's kernel and initramfs, and a disk with the root that the tests' machines have.

The disk is kept between runs under a name that tells what it was made from; nobody writes to it. What a run brings with
it, such as our package, is on a second disk.
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devcluster import oci, packages
from devcluster.progress import Reporter
from tests.machines import ground, roots
from tests.machines.machine import NETWORK

NEEDED: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mkfs.ext4": "e2fsprogs",
    "ssh": "openssh-client",
    "busybox": "busybox-static",
}
PACKAGES: Final = ("openssh-server", "linux-image-cloud-amd64", "apparmor", "nfs-kernel-server")
NAME: Final = "v1"
IMAGE: Final = "localhost/busybox:static"
_APPLETS: Final = ("sh", "cat", "dd", "fallocate", "hostname", "httpd", "mkdir", "seq", "sleep", "touch", "xargs")
ADDRESS: Final = f"{NETWORK}.110"
# The root is made for machines that share the kernel of this host: there systemd must not look for devices.
_UNMASKED: Final = "systemd-udevd systemd-udev-trigger systemd-networkd-wait-online"
INITRAMFS: Final = {
    # One of just what a guest has unpacks quicker under emulation.
    "etc/initramfs-tools/conf.d/guest": "MODULES=list\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
}
_FILES: Final = {
    "etc/hostname": f"{NAME}\n",
    "etc/hosts": f"127.0.0.1 localhost\n{ADDRESS} {NAME}\n",
    "etc/fstab": "/dev/vda / ext4 rw,noatime 0 0\n/dev/vdb /srv ext4 ro 0 0\n",
    "etc/systemd/network/10-eth0.network": (
        f"[Match]\nName=eth0\n[Network]\nAddress={ADDRESS}/24\nGateway={NETWORK}.1\nLinkLocalAddressing=no\n"
    ),
    **INITRAMFS,
    # A server that comes back waits this long for those who knew it: the least there is, the default is 90 s.
    "etc/nfs.conf.d/guest.conf": "[nfsd]\nvers3=n\ngrace-time=10\nlease-time=10\nthreads=2\n",
}
BOOTS: Final = f"""
systemctl unmask {_UNMASKED}
systemctl enable systemd-networkd
systemctl mask serial-getty@ttyS0
update-initramfs -u -k all
"""
# containerd leaves huge pages alone unless told otherwise; NFS servers are started by the cases that need them.
_SCRIPT: Final = f"""
sed -i 's/^ *restrict_oom_score_adj.*/&\\ndisable_hugetlb_controller = false/' /etc/containerd/config.toml
systemctl disable nfs-server nfs-blkmap rpcbind rpcbind.socket
{BOOTS}
"""


@dataclass(frozen=True)
class Disk:
    """The files of a guest, in one folder; `key` opens it to root by ssh."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root.ext4"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        return self.folder / "initrd.img"

    @property
    def key(self) -> Path:
        return self.folder / "key"


def obtain(report: Reporter) -> Disk:
    """That of the guest that the tests start themselves."""
    packages.ensure(NEEDED, report)
    return made("guest-disk", roots.with_packages("guest", PACKAGES, report, node=True), _FILES, _SCRIPT, report)


def made(name: str, base: Path, files: Mapping[str, str], script: str, report: Reporter) -> Disk:
    """A root with these files and what a script does inside, on a disk: made once for each of them, and kept."""
    assert oci.architecture() == "amd64", "the guest's kernel and QEMU are those of amd64"
    key = hashlib.sha256("\0".join((base.name, script, *files, *files.values())).encode()).hexdigest()[:8]
    found = ground.home() / f"{name}-{key}"
    if found.exists():
        return Disk(found)
    part = Disk(Path(tempfile.mkdtemp(prefix=f"{found.name}-", dir=ground.home())))
    try:
        with report.step("make a disk for a QEMU guest", about=30):
            _make(part, base, files, script)
        return Disk(part.folder.rename(found))
    finally:
        shutil.rmtree(part.folder, ignore_errors=True)


def _make(part: Disk, base: Path, files: Mapping[str, str], script: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", part.key], check=True)
    root = part.folder / "root"
    roots.copy(base, root)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    keys = root / "root/.ssh/authorized_keys"
    keys.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(part.key.with_suffix(".pub"), keys)
    roots.inside(root, script)
    for pattern, target in (("vmlinuz-*", part.kernel), ("initrd.img-*", part.initramfs)):
        (source,) = (root / "boot").glob(pattern)
        shutil.copyfile(source, target)
    file_system(root, part.root, size="8G")
    shutil.rmtree(root)


def image(folder: Path) -> oci.Store:
    """A store of one image, for the guest's Pods: emulation takes a minute to unpack those of the e2e tests."""
    store = oci.Store(folder)
    links = {f"bin/{name}": "busybox" for name in _APPLETS}
    program = Path(shutil.which("busybox") or "").resolve()
    store.add_image([IMAGE], {}, [store.add_layer(oci.Tree({"bin/busybox": program}, links))])
    return store


def file_system(content: Path, target: Path, *, size: str) -> None:
    """An ext4 of a folder; what is not used of its size takes no space."""
    subprocess.run(["truncate", "--size", size, target], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", content, target], check=True, capture_output=True)
