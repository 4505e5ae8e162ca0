"""A machine with systemd as its PID 1, in systemd-nspawn: its own network namespace, disk and cgroups, no uplink."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
SWITCH = "km-net"
NETWORK = "198.18.128"
_INSIDE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8"


class CommandError(AssertionError):
    """A command inside a machine failed; says which, and its last words."""


@dataclass
class Machine:
    """`number` makes its address. `binds` are folders of this host that it sees, read-only."""

    name: str
    number: int
    base: Path
    folder: Path
    binds: Mapping[Path, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{NETWORK}.{10 + self.number}"

    @property
    def netns(self) -> str:
        return f"km-{self.name}"

    @property
    def group(self) -> str:
        return f"km-machines/{self.name}"

    def up(self) -> None:
        """Boot it, and wait until its services are started."""
        for part in ("upper/etc", "work", "root", "containerd", "kubelet", "etcd"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "upper/etc/hostname").write_text(f"{self.name}\n")
        (self.folder / "upper/etc/hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        self._plug_in()
        for tree in _trees():
            _make_group(tree, self.group)
        options = [f"--bind-ro={source}:{target}" for source, target in self.binds.items()]
        command = ["unshare", "--mount", "--propagation", "private", str(Path(__file__).with_name("boot.sh"))]
        command += [str(self.folder), str(self.base), self.name, self.netns, self.group, *options]
        with (self.folder / "console.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.wait_booted()

    def wait_booted(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.run("test -S /run/systemd/private", check=False, timeout=10).returncode == 0:
                self.run("timeout 60 systemctl is-system-running --wait", check=False, timeout=90)
                return
            time.sleep(0.2)
        raise CommandError(f"{self.name} does not boot: {(self.folder / 'console.log').read_text()[-2000:]}")

    def run(self, script: str, *, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """A bash script inside. With `check`, raises CommandError if it fails."""
        leader = self.leader()
        if leader is None:
            if check:
                raise CommandError(f"{self.name} does not run")
            return subprocess.CompletedProcess(script, 255, "", "does not run")
        enter = f"nsenter -t {leader} -m -u -i -n -p -C env -i {_INSIDE} bash -euo pipefail -c {shlex.quote(script)}"
        joined = f'for tree in {CGROUPS}/*/{self.group}; do echo $$ > "$tree/cgroup.procs"; done; exec {enter}'
        done = subprocess.run(["sh", "-c", joined], capture_output=True, text=True, timeout=timeout, check=False)
        if check and done.returncode:
            raise CommandError(
                f"{self.name}: {script}\nexit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
            )
        return done

    def leader(self) -> int | None:
        """Its PID 1, as this host numbers it."""
        if self.process is None or self.process.poll() is not None:
            return None
        for nspawn in _children(self.process.pid):
            if (Path("/proc") / str(nspawn) / "comm").read_text().strip() == "systemd-nspawn":
                return next(iter(_children(nspawn)), None)
        return None

    def down(self) -> None:
        """Switch it off and leave nothing but its folder."""
        if self.process is not None and self.process.poll() is None:
            for nspawn in _children(self.process.pid):
                os.kill(nspawn, signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                for pid in (self.leader(), *_children(self.process.pid), self.process.pid):
                    if pid is not None:
                        os.kill(pid, signal.SIGKILL)
                self.process.wait(10)
        for _ in range(50):
            left = [tree / self.group for tree in _trees() if (tree / self.group).exists()]
            for folder in left:
                subprocess.run(f"find {folder} -depth -type d -exec rmdir {{}} + 2>/dev/null", shell=True, check=False)
            if not left:
                break
            time.sleep(0.2)
        subprocess.run(["ip", "netns", "del", self.netns], check=False, capture_output=True)

    def _plug_in(self) -> None:
        if not Path("/run/netns", SWITCH).exists():
            _ip("netns add {0}; ip -n {0} link set lo up; ip -n {0} link add br0 type bridge", SWITCH)
            _ip(f"-n {{0}} addr add {NETWORK}.1/24 dev br0; ip -n {{0}} link set br0 up", SWITCH)
        if Path("/run/netns", self.netns).exists():
            return
        port = f"p-{self.name}"
        _ip("netns add {0}; ip -n {0} link set lo up", self.netns)
        _ip(f"link add {port} netns {SWITCH} type veth peer name eth0 netns {{0}}", self.netns)
        _ip(f"-n {SWITCH} link set {port} master br0 up", self.netns)
        _ip(f"-n {{0}} addr add {self.address}/24 dev eth0; ip -n {{0}} link set eth0 up", self.netns)
        _ip(f"-n {{0}} route add default via {NETWORK}.1", self.netns)


def unplug_all() -> None:
    """Remove the switch and the folders of cgroups, when the last machine is down."""
    subprocess.run(["ip", "netns", "del", SWITCH], check=False, capture_output=True)
    for tree in _trees():
        subprocess.run(["rmdir", tree / "km-machines"], check=False, capture_output=True)


def _ip(words: str, name: str) -> None:
    subprocess.run(f"set -e; ip {words.format(name)}", shell=True, check=True, capture_output=True)


def _trees() -> Iterator[Path]:
    return (path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink())


def _make_group(tree: Path, group: str) -> None:
    parent = tree
    for part in group.split("/"):
        made = parent / part
        made.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (made / name).exists():
                (made / name).write_text((parent / name).read_text())
        parent = made


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
