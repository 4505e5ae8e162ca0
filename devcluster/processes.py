"""Long-running programs: start them in their namespaces and cgroup, know them again, wait for them, stop them.

A program is known by its pid *and* start time, kept in a small file, so a pid that the kernel gave to another program
is never taken for it, let alone killed.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from devcluster import cgroups, netns
from devcluster.errors import DevClusterError

# $1 is a list of cgroup.procs files, the rest the program: the shell enters the cgroups, then becomes the program.
_ENTER = 'cd /; for f in $1; do echo $$ > "$f"; done; shift; exec "$@"'
_POLL = 0.05

# Set by Ctrl-C: it reaches the main thread alone, so those that wait in others look here.
_given_up = threading.Event()


class Record(msgspec.Struct, frozen=True):
    """What the pid file says."""

    pid: int
    started: int
    argv: list[str]


@dataclass(frozen=True, slots=True)
class Program:
    """One long-running program and where it shall run; `cgroup` like /dev-n1/kubelet."""

    name: str
    argv: Sequence[str | Path]
    pidfile: Path
    log: Path
    netns: str
    cgroup: str
    mounts: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)


def start(program: Program) -> Record:
    """Start it, unless the very same command line runs already; one with another command line is stopped first."""
    argv = [str(arg) for arg in program.argv]
    running = find(program.pidfile)
    if running is not None:
        if running.argv == argv:
            return running
        stop(program.pidfile)
    _end_strays(program.cgroup, argv[0])
    program.log.parent.mkdir(parents=True, exist_ok=True)
    program.pidfile.parent.mkdir(parents=True, exist_ok=True)
    procs = " ".join(str(file) for file in cgroups.procs_files(program.cgroup))
    command = ["sh", "-c", _ENTER, "sh", procs, *netns.enter(program.netns, program.mounts), *argv]
    with program.log.open("ab") as log:
        log.write(f"--- {time.strftime('%H:%M:%S')} {shlex.join(argv)}\n".encode())
        log.flush()
        pid = _spawn(command, {**os.environ, **program.env}, log.fileno())
    record = Record(pid, _started(pid) or 0, argv)
    written = program.pidfile.with_suffix(".new")
    written.write_bytes(msgspec.json.encode(record))
    written.replace(program.pidfile)
    return record


def _spawn(command: list[str], environment: Mapping[str, str], log: int) -> int:
    """Start a program that outlives us, in a session of its own; its pid. (A Popen would warn when it is let go.)"""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, log, 1),
        (os.POSIX_SPAWN_DUP2, log, 2),
    ]
    ignored_by_python = [signal.SIGPIPE, signal.SIGXFSZ]
    return os.posix_spawnp(
        command[0], command, environment, file_actions=actions, setsid=True, setsigdef=ignored_by_python
    )


def _end_strays(cgroup: str, path: str) -> None:
    """Kill runs of this program in its cgroup that no pid file knows: an `up` was killed just after it started them."""
    for pid in cgroups.pids(cgroup):
        with contextlib.suppress(OSError):
            if (
                path in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:2]
            ):  # a script's first word is its interpreter
                os.kill(pid, signal.SIGKILL)


def find(pidfile: Path) -> Record | None:
    """The record of a program that still runs, else None."""
    record = last(pidfile)
    return record if record is not None and is_alive(record) else None


def last(pidfile: Path) -> Record | None:
    """The record of the program that was started last and not stopped, whether it still runs or not."""
    try:
        return msgspec.json.decode(pidfile.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None


def is_alive(record: Record) -> bool:
    """Whether the very program of this record runs (a zombie doesn't)."""
    return record.started != 0 and _started(record.pid) == record.started


def _started(pid: int) -> int | None:
    """Start time in clock ticks since boot (proc(5), stat, field 22); None for no process or a zombie."""
    with contextlib.suppress(ChildProcessError):  # ours and ended: take its exit status, or it stays a zombie
        os.waitpid(pid, os.WNOHANG)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def stop(pidfile: Path, *, sign: int = signal.SIGTERM, grace: float = 10) -> bool:
    """End a program: `sign`, and SIGKILL after `grace` seconds. False if it did not run."""
    record = find(pidfile)
    if record is None:
        pidfile.unlink(missing_ok=True)
        return False
    for current, patience in ((sign, grace), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, current)
            os.kill(record.pid, signal.SIGCONT)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not is_alive(record):
                pidfile.unlink(missing_ok=True)
                return True
            time.sleep(_POLL / 2)
    raise DevClusterError(f"stop {record.argv[0]}", f"process {record.pid} outlived SIGKILL")


def wait(program: Program, check: Callable[[], str | None], *, timeout: float) -> None:
    """Wait until `check` says nothing is missing (None). A program that ends meanwhile fails at once, with its log."""
    deadline = time.monotonic() + timeout
    missing: str | None = "not asked yet"
    while time.monotonic() < deadline:
        missing = check()
        if missing is None:
            return
        if find(program.pidfile) is None:
            raise DevClusterError(program.name, "it ended while starting", log=program.log)
        _pause(program.name, _POLL)
    raise DevClusterError(program.name, f"not ready within {timeout:g} s: {missing}", log=program.log)


def until(what: str, check: Callable[[], str | None], *, timeout: float, every: float = 0.1) -> None:
    """Wait for something that is no program of ours; `check` as in `wait`."""
    deadline = time.monotonic() + timeout
    while (missing := check()) is not None:
        if time.monotonic() > deadline:
            raise DevClusterError(what, f"not within {timeout:g} s: {missing}")
        _pause(what, every)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """While this is open, Ctrl-C ends the waits of all threads; KeyboardInterrupt is raised when it is left."""
    former = signal.getsignal(signal.SIGINT)
    if not callable(former) or threading.current_thread() is not threading.main_thread():
        yield  # ignored, or nothing that could reach this thread
        return
    signal.signal(signal.SIGINT, lambda number, frame: _given_up.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
        interrupted = _given_up.is_set()
        _given_up.clear()
    if interrupted:
        raise KeyboardInterrupt


def _pause(what: str, seconds: float) -> None:
    if _given_up.wait(seconds):
        raise DevClusterError(what, "no longer waited for: it was interrupted")
