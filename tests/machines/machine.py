"""A machine with systemd as its PID 1, in systemd-nspawn: its own network namespace, disk and cgroups, no uplink."""

import contextlib
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devcluster import cgroups

NETWORK = "198.18.128"
_INSIDE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8"


class CommandError(AssertionError):
    """A command inside a machine failed; says which, and its last words."""


@dataclass(frozen=True)
class Place:
    """Where a machine is: its folder, the name of its network namespace, its cgroup."""

    folder: Path
    netns: str
    cgroup: str


@dataclass
class Machine:
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
        with (folder / "console.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.wait_booted()

    def wait_booted(self) -> None:
        """Wait until its services are started; a service that failed is the tests' to find."""
        self.succeeds("test -S /run/systemd/private")
        self.run("timeout 60 systemctl is-system-running --wait", check=False, timeout=90)

    def reboot(self) -> None:
        """Boot it again, as its owner would."""
        before = self.leader()
        self.run("systemctl reboot", check=False)
        self.until("it goes down", lambda: self.leader() not in (before, None), seconds=120)
        self.wait_booted()

    def until(self, what: str, check: Callable[[], bool], *, seconds: float = 60) -> None:
        """Wait for something; CommandError says what for, in vain."""
        deadline = time.monotonic() + seconds
        while not check():
            if time.monotonic() > deadline:
                said = (self.place.folder / "console.log").read_text(errors="replace")[-2000:]
                raise CommandError(f"{self.name}: waited {seconds:.0f} s in vain until {what}; its console: {said}")
            time.sleep(0.3)

    def run(self, script: str, *, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """A bash script inside. With `check`, raises CommandError if it fails."""
        leader = self.leader()
        if leader is None:
            if check:
                raise CommandError(f"{self.name} does not run")
            return subprocess.CompletedProcess(script, 255, "", "does not run")
        enter = f"nsenter -t {leader} -m -u -i -n -p -C env -i {_INSIDE} bash -euo pipefail -c {shlex.quote(script)}"
        entered = " ".join(str(path) for path in cgroups.procs_files(self.place.cgroup))
        joined = f"for procs in {entered}; do echo $$ > $procs; done; exec {enter}"
        done = subprocess.run(["sh", "-c", joined], capture_output=True, text=True, timeout=timeout, check=False)
        if check and done.returncode:
            raise CommandError(
                f"{self.name}: {script}\nexit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
            )
        return done

    def succeeds(self, script: str, *, seconds: float = 60) -> None:
        """Wait until this script ends well."""
        self.until(script, lambda: self.run(script, check=False).returncode == 0, seconds=seconds)

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


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
