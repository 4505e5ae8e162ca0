"""A real containerd of a test's own: its files, its process, its image, and how it all goes away again."""

import asyncio
import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path

from devcluster import binaries, runtimes, tools
from devcluster import containerd as containerds
from pykubelet.cri import channel
from pykubelet.cri.runtime import Runtime

IMAGE = "contract.test/tiny:1"
API_SERVER = ("etcd", "kube-apiserver", "kubectl")
CNI = ("bridge", "host-local", "loopback", "portmap")
NEEDED = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", *CNI)
BUSYBOX = Path("/bin/busybox")
COMMAND = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"]
USERS = {
    "etc/passwd": b"root:x:0:0::/root:/bin/sh\nplain:x:1000:1000::/root:/bin/sh\n",
    "etc/group": b"root:x:0:\nplain:x:1000:\nextra:x:50000:plain\n",
}


class Containerd:
    """One containerd; `restart` and `stop` touch only the process this made."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder, self.binaries = folder, binaries
        self.name = f"cri-{os.getpid()}"
        self.endpoint = f"unix://{folder}/containerd.sock"
        self.cgroup = f"/{self.name}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def old(self) -> bool:
        """Whether it is a containerd before 2.0."""
        return runtimes.version_of(self.binaries / "containerd") < (2, 0)

    def start(self) -> None:
        log = (self.folder / "containerd.log").open("ab")
        self._process = subprocess.Popen(
            [
                *("nsenter", f"--net=/run/netns/{self.name}", f"--mount={self.folder}/mnt"),
                *(str(self.binaries / "containerd"), "-c", f"{self.folder}/config.toml"),
            ],
            env={**os.environ, "PATH": f"{self.binaries}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        deadline = time.monotonic() + 20
        while self.ctr("version", check=False).returncode:
            assert time.monotonic() < deadline, f"containerd does not answer, see {self.folder}/containerd.log"
            time.sleep(0.1)

    def kill(self) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            self._process.wait(timeout=10)
            self._process = None

    def ctr(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        command = [str(self.binaries / "ctr"), "-a", f"{self.folder}/containerd.sock", "-n", "k8s.io", *words]
        return subprocess.run(command, capture_output=True, check=check, timeout=60)


def binary(name: str) -> Path | None:
    """Where a binary lies: in $DEVCLUSTER_BIN, in the dev cluster's cache, or on PATH.

    A CNI plugin is looked for in /opt/cni/bin instead: iproute2 has a `bridge` too.
    """
    given = os.environ.get("DEVCLUSTER_BIN")
    usual = str(Path("/opt/cni/bin") / name) if name in CNI else shutil.which(name)
    cached = binaries.cached(tools.BY_NAME[name])
    candidates = [*([Path(given) / name] if given else []), cached, *([Path(usual)] if usual else [])]
    return next((path for path in candidates if path.exists()), None)


def link_binaries(into: Path, names: Iterable[str]) -> list[str]:
    """Put links to the binaries into a folder of their own; the answer is what was not found."""
    into.mkdir(exist_ok=True)
    missing = []
    for name in names:
        if found := binary(name):
            (into / name).symlink_to(found.resolve())
        else:
            missing.append(name)
    return missing


def write_cni(folder: Path) -> None:
    """A bridge with addresses of both families, and host ports."""
    (folder / "cni").mkdir()
    plugins = [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipam": {
                "type": "host-local",
                "dataDir": f"{folder}/ipam",
                "ranges": [[{"subnet": "198.19.200.0/24"}], [{"subnet": "fd00:200::/64"}]],
                "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    cni = {"cniVersion": "1.0.0", "name": "contract", "plugins": plugins}
    (folder / "cni/10-contract.conflist").write_text(json.dumps(cni))


def write_config(folder: Path, binaries: Path) -> None:
    write_cni(folder)
    paths = containerds.Paths(
        socket=folder / "containerd.sock",
        binaries=binaries,
        cni=folder / "cni",
        root=folder / "root",
        state=folder / "state",
        pause=IMAGE,
    )
    (folder / "config.toml").write_text(containerds.config(paths, binaries / "containerd"))


def write_image(path: Path) -> None:
    """An OCI layout with busybox and a default command that ends well on SIGTERM."""
    layer = io.BytesIO()
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "proc", "sys", "dev", "var", "root"):
            add(tar, folder, kind=tarfile.DIRTYPE)
        add(tar, "bin/busybox", BUSYBOX.read_bytes())
        for name, content in USERS.items():
            add(tar, name, content)
        for applet in applets:
            if applet != "busybox":
                add(tar, f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
    blobs: dict[str, bytes] = {}

    def blob(data: bytes, media: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": f"application/vnd.oci.image.{media}", "digest": f"sha256:{digest}", "size": len(data)}

    rootfs = blob(layer.getvalue(), "layer.v1.tar")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": COMMAND, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [rootfs["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), "config.v1+json"),
        "layers": [rootfs],
    }
    entry = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    entry["annotations"] = {"io.containerd.image.name": IMAGE, "org.opencontainers.image.ref.name": "1"}
    with tarfile.open(path, "w") as tar:
        add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        for digest, data in blobs.items():
            add(tar, f"blobs/sha256/{digest}", data)


def add(tar: tarfile.TarFile, path: str, data: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    info = tarfile.TarInfo(path)
    info.mode, info.type, info.linkname, info.size = 0o755, kind, link, len(data)
    tar.addfile(info, io.BytesIO(data))


def run(*words: str, check: bool = True) -> None:
    subprocess.run(words, check=check, capture_output=True, timeout=60)


async def remove_sandboxes(endpoint: str) -> None:
    """Through the runtime, so that CNI frees what it made."""
    async with channel.open_channel(endpoint) as connection:
        runtime = Runtime(connection, timeout=20)
        for sandbox in await runtime.list_sandboxes():
            await runtime.stop_sandbox(sandbox.id)
            await runtime.remove_sandbox(sandbox.id)


def clean(daemon: Containerd) -> None:
    """Leave nothing: tasks and their shims, the daemon, mounts, namespaces, cgroups, files."""
    clean_sandboxes(daemon.endpoint)
    tasks = daemon.ctr("tasks", "ls", "-q", check=False).stdout.decode().split()
    for task in tasks:
        daemon.ctr("tasks", "rm", "-f", task, check=False)
    daemon.kill()
    clean_places(daemon.name, daemon.folder)


def clean_sandboxes(endpoint: str) -> None:
    with contextlib.suppress(Exception):  # it may never have started
        asyncio.run(remove_sandboxes(endpoint))


def clean_places(name: str, folder: Path) -> None:
    """The mounts, namespaces, cgroups and files of a runtime that is gone."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    run("umount", "-l", f"{folder}/mnt", check=False)
    for line in reversed(mounts):
        if line.split()[1].startswith(f"{folder}/state"):
            run("umount", "-l", line.split()[1], check=False)
    run("ip", "netns", "del", name, check=False)
    for root in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]:
        top = root / name
        if top.is_dir():
            for inner in sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True):
                inner.rmdir()
            top.rmdir()
    shutil.rmtree(folder, ignore_errors=True)
