"""A real CRI-O of a test's own, with a registry to pull from, as it imports no archives; and how it all goes away."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from devcluster import binaries, gobuild, oci, packages, registry, shell, tools, versions
from devcluster.progress import Reporter
from tests.contract import real_containerd
from tests.contract.real_containerd import BUSYBOX, IMAGE, link_binaries, run

NEEDED: Final = {"conmon": "conmon", "gcc": "gcc"}
_PORT: Final = 5000
_CONFIG: Final = """[crio]
root = "{folder}/root"
runroot = "{folder}/state"
storage_driver = "overlay"
log_dir = "{folder}/logs"
version_file = "{folder}/version"
clean_shutdown_file = "{folder}/clean"
[crio.api]
listen = "{folder}/crio.sock"
stream_address = "127.0.0.1"
[crio.runtime]
default_runtime = "runc"
conmon_cgroup = "pod"
cgroup_manager = "cgroupfs"
pinns_path = "{pinns}"
namespaces_dir = "{folder}/namespaces"
container_exits_dir = "{folder}/exits"
container_attach_socket_dir = "{folder}/attach"
hooks_dir = []
enable_pod_events = true
[crio.runtime.runtimes.runc]
runtime_path = "{binaries}/runc"
runtime_root = "{folder}/runc"
monitor_path = "{conmon}"
[crio.image]
pause_image = "{pause}"
pause_command = "sleep 1000000"
signature_policy = "{folder}/policy.json"
[crio.network]
network_dir = "{folder}/cni"
plugin_dirs = ["{binaries}"]
[crio.nri]
enable_nri = false
"""
_REGISTRIES: Final = '[[registry]]\nprefix = "contract.test"\nlocation = "127.0.0.1:{port}"\ninsecure = true\n'


def programs(report: Reporter) -> tuple[Path, Path]:
    """CRI-O and its `pinns`, built once."""
    packages.ensure(NEEDED, report)
    crio = binaries.resolve([tools.CRIO], report)["crio"]
    pinns = crio.with_name("pinns")
    if not pinns.exists():
        sources = sorted((gobuild.module_folder(tools.CRIO.module, versions.CRIO) / "pinns/src").glob("*.c"))
        part = pinns.with_suffix(".part")
        shell.run("build pinns", ["gcc", "-std=c99", "-Os", "-static", "-o", part, *sources])
        part.replace(pinns)
    return crio, pinns


class Crio:
    """One CRI-O; `kill` and `start` touch only the process that this made."""

    old = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"crio-{os.getpid()}"
        self.endpoint = f"unix://{folder}/crio.sock"
        self.cgroup = f"/{self.name}"
        self._crio, pinns = programs(Reporter())
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        missing = link_binaries(folder / "bin", ("runc", *real_containerd.CNI))
        assert not missing, missing
        real_containerd.write_cni(folder)
        (folder / "policy.json").write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        (folder / "registries.conf").write_text(_REGISTRIES.format(port=_PORT))
        config = _CONFIG.format(
            folder=folder, binaries=folder / "bin", pinns=pinns, conmon=shutil.which("conmon"), pause=IMAGE
        )
        (folder / "crio.conf").write_text(config)
        _export_image(folder)
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        (folder / "mnt").touch()
        run("unshare", f"--mount={folder}/mnt", "--propagation", "shared", "true")
        self._launch("registry", str(registry.program(Reporter(quiet=True))), "serve", f"{folder}/registry.yml")

    def start(self) -> None:
        """Start it and wait until its socket is there."""
        (self.folder / "crio.sock").unlink(missing_ok=True)
        self._launch("crio", str(self._crio), "--config", f"{self.folder}/crio.conf", "--config-dir", "")
        deadline = time.monotonic() + 20
        while not (self.folder / "crio.sock").exists():
            assert time.monotonic() < deadline, f"CRI-O does not answer, see {self.folder}/crio.log"
            time.sleep(0.1)

    def kill(self, name: str = "crio") -> None:
        if process := self._processes.pop(name, None):
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=10)

    def clean(self) -> None:
        """Leave nothing: its sandboxes, processes, mounts, namespaces, cgroups and files."""
        real_containerd.clean_sandboxes(self.endpoint)
        for name in list(self._processes):
            self.kill(name)
        real_containerd.clean_places(self.name, self.folder)

    def _launch(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.name}", f"--mount={self.folder}/mnt", *command],
                env={**os.environ, "CONTAINER_REGISTRIES_CONF": f"{self.folder}/registries.conf"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip


def _export_image(folder: Path) -> None:
    """The image of the contract's containers, in a registry's folder."""
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    files: dict[str, Path | bytes] = {"bin/busybox": BUSYBOX, **real_containerd.USERS}
    links = {f"bin/{applet}": "busybox" for applet in applets if applet != "busybox"}
    store = oci.Store(folder / "store")
    folders = dict.fromkeys(("tmp", "proc", "sys", "dev", "var", "root"), 0o755)
    layer = store.add_layer(oci.Tree(files, links, folders=folders))
    store.add_image([IMAGE], {"Env": ["PATH=/bin"], "Cmd": real_containerd.COMMAND, "WorkingDir": "/"}, [layer])
    oci.export_to_registry(store, folder / "registry")
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": f"{folder}/registry"}},
        "http": {"addr": f"127.0.0.1:{_PORT}"},
    }
    (folder / "registry.yml").write_text(json.dumps(settings))
