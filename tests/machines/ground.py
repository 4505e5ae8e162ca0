"""What machines are made of: a Debian root with systemd, containerd and kubeadm, and the images that kubeadm names."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from devcluster import binaries, images, layout, oci, packages, recipes, tools, versions
from devcluster.progress import Reporter

PACKAGES: Final = (
    "systemd", "systemd-sysv", "dbus", "iproute2", "nftables", "procps", "kmod", "udev", "socat", "conntrack",
    "ethtool", "iptables", "python3", "python3-venv", "iputils-ping", "ca-certificates",
)  # fmt: skip
NEEDED: Final = {"systemd-nspawn": "systemd-container", "debootstrap": "debootstrap", "nsenter": "util-linux"}
ETCD_IMAGE: Final = "registry.k8s.io/etcd:3.7.0-0"
COREDNS_IMAGE: Final = "registry.k8s.io/coredns/coredns:v1.14.6"
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
_MASKED: Final = (
    "systemd-networkd-wait-online systemd-udevd systemd-udev-trigger getty@ console-getty apt-daily.timer "
    "apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-sysctl-setup"
)


def home() -> Path:
    """Where roots and images are kept between runs."""
    return layout.cache_home() / "machines"


def root(report: Reporter) -> Path:
    """A Debian root that all machines share, made once; it holds no kubelet."""
    packages.ensure(NEEDED, report)
    found = home() / "debian"
    home().mkdir(parents=True, exist_ok=True)
    if not found.exists():
        part = home() / "debian.part"
        shutil.rmtree(part, ignore_errors=True)
        with report.step("make a Debian with systemd", about=60):
            include = ",".join(PACKAGES)
            command = ["debootstrap", "--variant=minbase", f"--include={include}", versions.DEBIAN, str(part)]
            subprocess.run(command, check=True, capture_output=True)
        part.rename(found)
    _furnish(found, binaries.resolve([*tools.CLUSTER, tools.BY_NAME["kubeadm"]], report))
    return found


def _furnish(found: Path, programs: dict[str, Path]) -> None:
    for name in ("kubeadm", "kubectl"):
        _place(programs[name], found / "usr/bin" / name)
    for name in ("containerd", "containerd-shim-runc-v2", "ctr", "runc"):
        _place(programs[name], found / "usr/local/bin" / name)
    for name in ("bridge", "host-local", "loopback", "portmap"):
        _place(programs[name], found / "opt/cni/bin" / name)
    for folder in ("etc/containerd", "etc/cni/net.d", "etc/kubernetes/manifests", "var/lib/kubelet", "srv/pykubelet"):
        (found / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("images", "srv/pykubelet/build/wheels", "srv/pykubelet/systemd"):
        (found / folder).mkdir(parents=True, exist_ok=True)
    (found / "etc/containerd/config.toml").write_text(_CONTAINERD.format(pause=versions.PAUSE))
    (found / "usr/lib/systemd/system/containerd.service").write_text(_CONTAINERD_UNIT)
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
        subprocess.run(["chroot", found, "systemctl", *words], check=False, capture_output=True)


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.stat().st_size != source.stat().st_size:
        shutil.copyfile(source, target)
        target.chmod(0o755)


def image_archives(report: Reporter) -> Path:
    """A folder of tars: the images of kubeadm's control plane, pause and the e2e busybox."""
    folder = home() / f"images-{versions.KUBERNETES}"
    done = folder / "done"
    if done.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    programs = binaries.resolve(tools.CLUSTER, report)
    with report.step("make the images that kubeadm names", about=15):
        store = oci.Store(home() / "store")
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
            _export(store, name, folder)
        standard = images.obtain(report)
        for name in (recipes.PAUSE, recipes.BUSYBOX):
            _export(standard, name, folder)
    done.touch()
    return folder


def _export(store: oci.Store, name: str, folder: Path) -> None:
    shutil.copyfile(oci.archive(store, name), folder / f"{oci.split(name)[1].replace('/', '-')}.tar")
