"""A machine with systemd as its PID 1, in systemd-nspawn: its own network namespace, disk and cgroups, no uplink."""

import abc
import contextlib
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from devcluster import cgroups

NETWORK = "198.18.128"
INSIDE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8"


class CommandError(AssertionError):
    """A command inside a machine failed; says which, and its last words."""


class Computer(abc.ABC):
    """What tests ask of a machine with systemd, whatever it is made of."""

    name: str
    boots_within: ClassVar[float] = 60
    """Seconds until PID 1 answers."""

    @property
    @abc.abstractmethod
    def address(self) -> str:
        """Its own, on the lab's switch."""

    @property
    @abc.abstractmethod
    def console(self) -> Path:
        """What it wrote to its console."""

    @abc.abstractmethod
    def attempt(self, script: str, *, timeout: float) -> subprocess.CompletedProcess[str]:
        """A bash script inside; 255 if the machine can't be reached."""

    def run(self, script: str, *, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """A bash script inside. With `check`, raises CommandError if it fails."""
        done = self.attempt(script, timeout=timeout)
        if check and done.returncode:
            raise CommandError(
                f"{self.name}: {script}\nexit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
            )
        return done

    def answer(self, url: str) -> str:
        """What an HTTP server says to it; empty if nothing."""
        ask = f"import urllib.request; print(urllib.request.urlopen('{url}', timeout=2).read().decode())"
        return self.run(f'python3 -c "{ask}"', check=False).stdout.strip()

    def wait_booted(self) -> None:
        """Wait until its services are started; a service that failed is the tests' to find."""
        self.succeeds("test -S /run/systemd/private", seconds=self.boots_within)
        self.run("timeout 60 systemctl is-system-running --wait", check=False, timeout=90)

    def until(self, what: str, check: Callable[[], bool], *, seconds: float = 60) -> None:
        """Wait for something; CommandError says what for, in vain."""
        deadline = time.monotonic() + seconds
        while not check():
            if time.monotonic() > deadline:
                said = self.console.read_text(errors="replace")[-2000:]
                raise CommandError(f"{self.name}: waited {seconds:.0f} s in vain until {what}; its console: {said}")
            time.sleep(0.3)

    def succeeds(self, script: str, *, seconds: float = 60) -> None:
        """Wait until this script ends well."""
        self.until(script, lambda: self.run(script, check=False).returncode == 0, seconds=seconds)


@dataclass(frozen=True)
class Place:
    """Where a machine is: its folder, the name of its network namespace, its cgroup."""

    folder: Path
    netns: str
    cgroup: str


@dataclass
class Machine(Computer):
    """`number` makes its address. `binds` are folders of this host that it sees, read-only.

    `options` are further ones of systemd-nspawn.
    """

    name: str
    number: int
    base: Path
    place: Place
    binds: Mapping[Path, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{NETWORK}.{10 + self.number}"

    @property
    def console(self) -> Path:
        return self.place.folder / "console.log"

    def up(self) -> None:
        """Boot it, and wait until its services are started."""
        folder = self.place.folder
        for part in ("upper/etc", "work", "root", "containerd", "kubelet", "etcd"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "upper/etc/hostname").write_text(f"{self.name}\n")
        (folder / "upper/etc/hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        cgroups.make(self.place.cgroup)
        options = [f"--bind-ro={source}:{target}" for source, target in self.binds.items()] + [*self.options]
        command = ["unshare", "--mount", "--propagation", "private", str(Path(__file__).with_name("boot.sh"))]
        command += [str(folder), str(self.base), self.name, self.place.netns, self.place.cgroup.strip("/"), *options]
        with self.console.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.wait_booted()

    def reboot(self) -> None:
        """Boot it again, as its owner would."""
        before = self.leader()
        self.run("systemctl reboot", check=False)
        self.until("it goes down", lambda: self.leader() not in (before, None), seconds=120)
        self.wait_booted()

    def attempt(self, script: str, *, timeout: float) -> subprocess.CompletedProcess[str]:
        leader = self.leader()
        if leader is None:
            return subprocess.CompletedProcess(script, 255, "", "it does not run")
        enter = f"nsenter -t {leader} -m -u -i -n -p -C env -i {INSIDE} bash -euo pipefail -c {shlex.quote(script)}"
        command = entering(self.place.cgroup, enter)
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def leader(self) -> int | None:
        """Its PID 1, as this host numbers it."""
        if self.process is None or self.process.poll() is not None:
            return None
        for nspawn in _children(self.process.pid):
            with contextlib.suppress(OSError):
                if (Path("/proc") / str(nspawn) / "comm").read_text().strip() == "systemd-nspawn":
                    return next(iter(_children(nspawn)), None)
        return None

    def down(self) -> None:
        """Cut its power."""
        cgroups.kill(self.place.cgroup)
        if self.process is not None:
            self.process.wait()


def entering(cgroup: str, command: str) -> list[str]:
    """A shell command that runs in this cgroup of every hierarchy."""
    files = " ".join(str(path) for path in cgroups.procs_files(cgroup))
    return ["sh", "-c", f"for procs in {files}; do echo $$ > $procs; done; exec {command}"]


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
