"""A machine with systemd in a QEMU guest: a kernel of its own, and so cgroup v2. It is on the lab's switch, no uplink.

It is emulated, as not every machine that runs the tests can virtualize; Python runs some 7 times slower there.
"""

import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from devcluster import cgroups
from tests.machines.machine import INSIDE, Computer, entering
from tests.vm import disk
from tests.vm.disk import Disk

_KERNEL: Final = (
    "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=yes mitigations=off net.ifnames=0 "
    "apparmor=1 security=apparmor hugepages=16"
)
_TAP: Final = f"tap-{disk.NAME}"


@dataclass
class Guest(Computer):
    """`folder` is its own, in that of a lab; `switch` is the lab's network namespace, and its cgroup.

    `drive` is the ext4 that it mounts at /srv. Used in a `with`: its power is cut at the end.
    """

    disk: Disk
    drive: Path
    folder: Path
    switch: str
    process: subprocess.Popen[bytes] | None = None
    name: str = disk.NAME
    boots_within: ClassVar[float] = 180  # 20 s where nothing else runs; emulation suffers from company

    @property
    def address(self) -> str:
        return disk.ADDRESS

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def cgroup(self) -> str:
        return f"/{self.switch}/{self.name}"

    @property
    def _control(self) -> Path:
        return self.folder / "ssh"

    def up(self) -> None:
        """Power on; `wait_booted` waits for it. What it writes to its disk is gone with its power."""
        cgroups.make(self.cgroup)
        tap = f"ip -n {self.switch} tuntap add {_TAP} mode tap; ip -n {self.switch} link set {_TAP} master br0 up"
        subprocess.run(f"set -e; {tap}", shell=True, check=True, capture_output=True)
        drives = [
            f"file={self.disk.root},format=raw,if=virtio,cache=unsafe,snapshot=on",
            f"file={self.drive},format=raw,if=virtio,readonly=on",
        ]
        words = ["nsenter", f"--net=/run/netns/{self.switch}", "env", f"TMPDIR={self.folder}", "qemu-system-x86_64"]
        words += ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2560"]
        words += ["-kernel", str(self.disk.kernel), "-initrd", str(self.disk.initramfs), "-append", _KERNEL]
        words += [word for drive in drives for word in ("-drive", drive)]
        words += ["-netdev", f"tap,id=net,ifname={_TAP},script=no,downscript=no"]
        words += ["-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"]
        words += ["-display", "none", "-monitor", "none", "-serial", f"file:{self.console}"]
        with (self.folder / "qemu.log").open("wb") as log:
            self.process = subprocess.Popen(
                entering(self.cgroup, shlex.join(words)),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def attempt(self, script: str, *, timeout: float) -> subprocess.CompletedProcess[str]:
        if self.process is None or self.process.poll() is not None:
            said = (self.folder / "qemu.log").read_text(errors="replace")
            return subprocess.CompletedProcess(script, 255, "", f"QEMU does not run; it said: {said}")
        if not self._control.exists():
            self._connect()
        inside = f"env -i {INSIDE} bash -euo pipefail -c {shlex.quote(script)}"
        command = self._ssh(inside)
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def reboot(self) -> None:
        """Boot it again, as its owner would."""
        shown = "cat /proc/sys/kernel/random/boot_id"
        before = self.run(shown).stdout
        self.run("systemctl reboot", check=False)
        self._disconnect()
        self.until(
            "it has booted again",
            lambda: self.run(shown, check=False).stdout not in (before, ""),
            seconds=self.boots_within,
        )
        self.wait_booted()

    def down(self) -> None:
        """Cut its power."""
        cgroups.kill(self.cgroup)
        if self.process is not None:
            self.process.wait()

    def _connect(self) -> None:
        """One connection for all commands, as a new one costs emulated cryptography; without it they make their own."""
        nowhere = subprocess.DEVNULL  # a pipe would stay open for as long as the connection
        subprocess.run(self._ssh("-fNM"), stdin=nowhere, stdout=nowhere, stderr=nowhere, check=False)

    def _disconnect(self) -> None:
        subprocess.run(self._ssh("-O", "exit"), capture_output=True, check=False)
        self._control.unlink(missing_ok=True)

    def _ssh(self, *words: str) -> list[str]:
        """ssh with these options, or with this one command."""
        options, command = (list(words), []) if words[0].startswith("-") else ([], list(words))
        told = [
            f"ControlPath={self._control}", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes",
            "ConnectTimeout=10", "ServerAliveInterval=10", "LogLevel=ERROR",
        ]  # fmt: skip
        given = [word for option in told for word in ("-o", option)]
        whole = ["nsenter", f"--net=/run/netns/{self.switch}", "ssh", "-F", "none", "-i", str(self.disk.key), *given]
        return entering(self.cgroup, shlex.join([*whole, *options, f"root@{self.address}", *command]))
