"""pyproxy under a supervisor that starts it again whenever it ends, as systemd would."""

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

PYPROXY: Final = Path(sys.prefix) / "bin" / "pyproxy"
_PIDFD_GETFD: Final = 438
_AGAIN_AFTER: Final = 0.2


class Agent:
    """The agent that runs now, with the configuration file and further arguments; its exit codes so far."""

    def __init__(self, config: Path, log: Path, *arguments: str) -> None:
        self._config, self._log, self._arguments = config, log, arguments
        self._stopping = threading.Event()
        self.exits: list[int] = []
        self._process = self._start()
        self._thread = threading.Thread(target=self._supervise, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The process that runs now, or just ended."""
        return self._process.pid

    def kill(self) -> None:
        """kill -9"""
        self._process.kill()

    def stop(self) -> None:
        """SIGTERM, and no other one is started."""
        self._stopping.set()
        self._process.terminate()
        self._thread.join(30)

    def differences(self) -> str:
        """What `pyproxy dump --diff` says."""
        command = [PYPROXY, "dump", "--diff", f"--config={self._config}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout or (done.stderr if done.returncode else "")

    @contextlib.contextmanager
    def netlink_sockets(self) -> Iterator[list[socket.socket]]:
        """The agent's own netlink sockets, in this process's hands."""
        held = []
        inodes = {line.split()[9] for line in Path(f"/proc/{self.pid}/net/netlink").read_text().splitlines()[1:]}
        pidfd = os.pidfd_open(self.pid)
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            for entry in Path(f"/proc/{self.pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(entry).removeprefix("socket:[").removesuffix("]") in inodes:
                        number = libc.syscall(_PIDFD_GETFD, pidfd, int(entry.name), 0)
                        if number >= 0:
                            held.append(socket.socket(fileno=number))
            yield held
        finally:
            os.close(pidfd)
            for one in held:
                one.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        log: IO[bytes]
        with self._log.open("ab") as log:
            return subprocess.Popen([PYPROXY, f"--config={self._config}", *self._arguments], stdout=log, stderr=log)

    def _supervise(self) -> None:
        while True:
            code = self._process.wait()
            self.exits.append(code)
            if self._stopping.wait(_AGAIN_AFTER):
                return
            self._process = self._start()
            if self._stopping.is_set():
                self._process.terminate()
