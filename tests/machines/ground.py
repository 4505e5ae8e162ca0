"""What machines are made of: a Debian root with systemd, containerd and kubeadm, and the images that kubeadm names."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from devcluster import binaries, images, layout, oci, packages, recipes, shell, tools, versions
from devcluster.progress import Reporter

PACKAGES: Final = (
    "systemd", "systemd-sysv", "dbus", "iproute2", "nftables", "procps", "kmod", "udev", "socat", "conntrack",
    "ethtool", "iptables", "python3", "python3-venv", "iputils-ping", "ca-certificates",
)  # fmt: skip
NEEDED: Final = {"systemd-nspawn": "systemd-container", "debootstrap": "debootstrap", "nsenter": "util-linux"}
ETCD_IMAGE: Final = "registry.k8s.io/etcd:3.7.0-0"
COREDNS_IMAGE: Final = "registry.k8s.io/coredns/coredns:v1.14.6"
_COMMANDS: Final = ("kubeadm", "kubectl")
_RUNTIME: Final = ("containerd", "containerd-shim-runc-v2", "ctr", "runc")
_CNI: Final = ("bridge", "host-local", "loopback", "portmap")
CONTROL_PLANE: Final = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")

_CONTAINERD: Final = """version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "registry.k8s.io/pause:{pause}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/opt/cni/bin"]
  conf_dir = "/etc/cni/net.d"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "/usr/local/bin/runc"
  SystemdCgroup = true
"""
_CONTAINERD_UNIT: Final = """[Unit]
Description=containerd container runtime
After=network.target dbus.service
[Service]
ExecStart=/usr/local/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
TasksMax=infinity
[Install]
WantedBy=multi-user.target
"""
# PID 1 of a machine makes the v1 controllers of its own cgroup namespace writable, and then becomes systemd.
_INIT: Final = """#!/bin/sh
for c in /sys/fs/cgroup/*/; do [ -L "${c%/}" ] || mount -o remount,rw,bind "${c%/}" 2>/dev/null; done
mount --make-rshared /
exec /lib/systemd/systemd "$@"
"""
# Containers that ignore SIGTERM hold up a shutdown of the machine for this long; the default is 90 s.
_MANAGER: Final = "[Manager]\nDefaultTimeoutStopSec=10s\n"
_MASKED: Final = (
    "systemd-networkd-wait-online systemd-udevd systemd-udev-trigger getty@ console-getty apt-daily.timer "
    "apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-sysctl-setup"
)


def home() -> Path:
    """Where roots and images are kept between runs, each under a name that tells what it was made from."""
    return layout.cache_home() / "machines"


def root(report: Reporter) -> Path:
    """A root that all machines share, made once for its versions and settings; it holds no kubelet."""
    packages.ensure(NEEDED, report)
    programs = binaries.resolve([*tools.CLUSTER, tools.BY_NAME["kubeadm"]], report)
    versions_of = [f"{name}={tools.BY_NAME[name].version}" for name in (*_COMMANDS, *_RUNTIME, *_CNI)]
    found = home() / f"root-{_digest(*PACKAGES, *versions_of, _CONTAINERD, _CONTAINERD_UNIT, _INIT, _MASKED, _MANAGER)}"
    if not found.exists():
        debian = _debian(report)
        part = found.with_suffix(f".{os.getpid()}.part")
        with report.step("furnish the root of machines", about=10):
            subprocess.run(["cp", "-a", "--reflink=auto", debian, part], check=True)
            _furnish(part, programs)
            _rename(part, found)
    return found


def _debian(report: Reporter) -> Path:
    found = home() / f"debian-{_digest(versions.DEBIAN, *PACKAGES)}"
    if not found.exists():
        home().mkdir(parents=True, exist_ok=True)
        part = found.with_suffix(f".{os.getpid()}.part")
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", versions.DEBIAN, part]
        with report.step("make a Debian with systemd", about=60):
            shell.logged("debootstrap", command, log=layout.cache_home() / "log" / "debootstrap-machines.log")
            _rename(part, found)
    return found


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]


def _rename(part: Path, found: Path) -> None:
    """Several runs may make the same at once: the first is kept."""
    try:
        part.rename(found)
    except OSError:
        if not found.exists():
            raise
        shutil.rmtree(part)


def _furnish(found: Path, programs: dict[str, Path]) -> None:
    for folder, names in (("usr/bin", _COMMANDS), ("usr/local/bin", _RUNTIME), ("opt/cni/bin", _CNI)):
        for name in names:
            target = found / folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(programs[name], target)
            target.chmod(0o755)
    for folder in (
        "etc/containerd",
        "etc/cni/net.d",
        "etc/kubernetes/manifests",
        "var/lib/kubelet",
        "images",
        "packages",
    ):
        (found / folder).mkdir(parents=True, exist_ok=True)
    (found / "etc/containerd/config.toml").write_text(_CONTAINERD.format(pause=versions.PAUSE))
    (found / "usr/lib/systemd/system/containerd.service").write_text(_CONTAINERD_UNIT)
    manager = found / "etc/systemd/system.conf.d/machines.conf"
    manager.parent.mkdir(parents=True)
    manager.write_text(_MANAGER)
    init = found / "usr/local/sbin/machine-init"
    init.write_text(_INIT)
    init.chmod(0o755)
    # Debian's settings of fs.* and kernel.* would reach the kernel that all machines share with this host.
    for path in (found / "usr/lib/sysctl.d").glob("*.conf"):
        path.unlink()
    (found / "etc/machine-id").write_text("")
    for name in ("etc/resolv.conf", "etc/hostname"):
        (found / name).unlink(missing_ok=True)
    (found / "etc/resolv.conf").write_text("nameserver 198.18.128.1\n")
    for words in (["enable", "containerd"], ["mask", *_MASKED.split()]):
        subprocess.run(["chroot", found, "systemctl", *words], check=True, capture_output=True)


def image_archives(report: Reporter) -> Path:
    """A folder of tars: the images of kubeadm's control plane, pause, and the e2e tests' busybox and agnhost."""
    standard = images.obtain(report)
    wanted = (recipes.PAUSE, recipes.BUSYBOX, recipes.AGNHOST)
    parts = [f"{name}={tools.BY_NAME[name].version}" for name in (*CONTROL_PLANE, "etcd", "coredns")]
    folder = home() / f"images-{_digest(*parts, *(standard.images()[name].digest for name in wanted))}"
    if folder.exists():
        return folder
    programs = binaries.resolve(tools.CLUSTER, report)
    part = folder.with_suffix(f".{os.getpid()}.part")
    part.mkdir(parents=True)
    with report.step("make the images that kubeadm names", about=15), tempfile.TemporaryDirectory(dir=part) as scratch:
        store = oci.Store(Path(scratch))
        users: dict[str, Path | bytes] = {"etc/passwd": b"root:x:0:0::/:/bin/sh\n", "etc/group": b"root:x:0:\n"}
        for name in CONTROL_PLANE:
            tree = oci.Tree({f"usr/local/bin/{name}": programs[name], **users}, folders={"tmp": 0o1777})
            full = f"registry.k8s.io/{name}:v{versions.KUBERNETES}"
            store.add_image([full], {"Entrypoint": [name]}, [store.add_layer(tree)])
        etcd = oci.Tree({"usr/local/bin/etcd": programs["etcd"], **users}, folders={"tmp": 0o1777})
        store.add_image([ETCD_IMAGE], {}, [store.add_layer(etcd)])
        dns = store.add_layer(oci.Tree({"coredns": programs["coredns"], **users}))
        store.add_image([COREDNS_IMAGE], {"Entrypoint": ["/coredns"]}, [dns])
        for name in store.images():
            _export(store, name, part)
        for name in wanted:
            _export(standard, name, part)
    _rename(part, folder)
    return folder


def _export(store: oci.Store, name: str, folder: Path) -> None:
    shutil.copyfile(oci.archive(store, name), folder / f"{oci.split(name)[1].replace('/', '-')}.tar")
