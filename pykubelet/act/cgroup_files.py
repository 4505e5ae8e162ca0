"""The cgroup file system, v1 and v2: makes and removes cgroups by their path, and writes their values.

Source: pkg/kubelet/cm/cgroup_manager_linux.go, opencontainers/cgroups.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pykubelet.decide import cgroups
from pykubelet.decide.cgroups import Values

MOUNT = Path("/sys/fs/cgroup")
_ATTEMPTS = 50
_PAUSE = 0.1

log = logging.getLogger(__name__)


class CgroupFiles:
    """`mount` is where the hierarchies are; `unified` whether that is the one of cgroup v2.

    Paths are strings here: each Pod has a cgroup in up to a dozen hierarchies, and pathlib took longer than the kernel.
    """

    def __init__(self, mount: Path = MOUNT) -> None:
        self._mount = str(mount)
        self.unified = (mount / "cgroup.controllers").exists()
        self._tops = [self._mount] if self.unified else sorted(map(str, _v1_hierarchies(mount)))
        self._cpuset = str((mount / "cpuset").resolve())

    def make(self, path: str) -> None:
        """Make a cgroup in each hierarchy, and those above it."""
        if self.unified:
            self._make_unified(path)
            return
        for top in self._tops:
            _make(_inside(top, path), made=_copy_cpuset if top == self._cpuset else _nothing)

    def _make_unified(self, path: str) -> None:
        """With every controller of the machine: systemd gives its slices only those that its own settings need."""
        at = self._mount
        for step in path.strip("/").split("/"):
            _delegate(at)
            at = f"{at}/{step}"
            with contextlib.suppress(FileExistsError):
                os.mkdir(at)

    def set(self, path: str, values: Values) -> None:
        """Write the values. OSError names the file."""
        for controller, file, text in _unified(values) if self.unified else _legacy(values):
            target = f"{self._folder(path, controller)}/{file}"
            try:
                _write(target, text)
            except FileNotFoundError:
                log.debug("%s is not there: this kernel has no such limit", target)

    async def remove(self, path: str) -> None:
        """End what is left in a cgroup and remove it. OSError when it stays busy for five seconds."""
        folders = [_inside(top, path) for top in self._tops]
        for attempt in range(_ATTEMPTS):
            busy = [folder for folder in folders if not _remove_tree(folder)]
            if not busy:
                return
            if attempt % 10 == 0:
                for folder in busy:
                    _kill_all(folder)
            # The kernel frees a cgroup a little after its last process ended, and tells nobody.
            await asyncio.sleep(_PAUSE)
        raise OSError(f"cgroup {path} stays busy: {busy}")

    def below(self, path: str) -> Iterator[str]:
        """The names of the cgroups directly below one, in whatever hierarchy."""
        names: set[str] = set()
        for top in self._tops:
            with contextlib.suppress(FileNotFoundError):
                names.update(entry.name for entry in os.scandir(_inside(top, path)) if entry.is_dir())
        yield from sorted(names)

    def _folder(self, path: str, controller: str) -> str:
        return _inside(self._mount if self.unified else f"{self._mount}/{controller}", path)


def _make(folder: str, *, made: Callable[[str], None]) -> None:
    # From the bottom: mostly only the last step is missing. Above it, systemd removes what it did not ask for itself
    # whenever it is empty, so a step may be gone again before there is one below it.
    for turn in range(_ATTEMPTS):
        try:
            os.mkdir(folder)
        except FileExistsError:
            return
        except FileNotFoundError:
            if turn == _ATTEMPTS - 1:
                raise
            _make(os.path.dirname(folder), made=made)
        else:
            made(folder)
            return


def _nothing(folder: str) -> None:
    """What else a new cgroup needs in most hierarchies."""


def _write(target: str, text: str) -> None:
    # Asked to make a file that is not there, the kernel says that it is forbidden.
    descriptor = os.open(target, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _inside(top: str, path: str) -> str:
    return f"{top}/{path.strip('/')}".rstrip("/")


def _legacy(values: Values) -> Iterable[tuple[str, str, str]]:
    """Controller, file and text, on cgroup v1."""
    if values.cpu_shares:
        yield "cpu", "cpu.shares", str(values.cpu_shares)
    yield "cpu", "cpu.cfs_period_us", str(cgroups.PERIOD_US)
    yield "cpu", "cpu.cfs_quota_us", str(values.cpu_quota_us or -1)
    if values.memory_limit:
        yield "memory", "memory.limit_in_bytes", str(values.memory_limit)
    if values.pids_limit:
        yield "pids", "pids.max", str(values.pids_limit)
    for page in values.hugepages:
        # What is used, and what is reserved for use already.
        for file in ("limit_in_bytes", "rsvd.limit_in_bytes"):
            yield "hugetlb", f"hugetlb.{page.page_size}.{file}", str(page.limit)


def _unified(values: Values) -> Iterable[tuple[str, str, str]]:
    """The same on cgroup v2; there is one tree, so the controller is no folder."""
    if values.cpu_shares:
        yield "", "cpu.weight", str(cgroups.weight(values.cpu_shares))
    yield "", "cpu.max", f"{values.cpu_quota_us or 'max'} {cgroups.PERIOD_US}"
    if values.memory_limit:
        yield "", "memory.max", str(values.memory_limit)
    if values.pids_limit:
        yield "", "pids.max", str(values.pids_limit)
    for page in values.hugepages:
        for file in ("max", "rsvd.max"):
            yield "", f"hugetlb.{page.page_size}.{file}", str(page.limit)


def _v1_hierarchies(mount: Path) -> set[Path]:
    """One folder a hierarchy: cpu and cpuacct are often the same one under two names."""
    found = set()
    for entry in mount.iterdir():
        real = entry.resolve()
        if real.is_dir() and (real / "cgroup.procs").exists() and not (real / "cgroup.controllers").exists():
            found.add(real)
    return found


def _copy_cpuset(folder: str) -> None:
    """A new cgroup of cpuset has no processors: it may have all that the one around it has."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        with contextlib.suppress(FileNotFoundError):  # a plain folder that stands in for a cgroup
            _write(f"{folder}/{name}", _read(f"{os.path.dirname(folder)}/{name}"))


def _delegate(parent: str) -> None:
    """Hand every controller this cgroup has to its children."""
    have = _read(f"{parent}/cgroup.controllers").split()
    given = _read(f"{parent}/cgroup.subtree_control").split()
    for name in have:
        if name not in given:
            with contextlib.suppress(OSError):  # some kernels refuse single ones, such as cpu with real-time processes
                _write(f"{parent}/cgroup.subtree_control", f"+{name}")


def _remove_tree(folder: str) -> bool:
    """Remove a cgroup and those below it; False if one is busy."""
    for base, folders, _ in os.walk(folder, topdown=False):
        for path in (*(os.path.join(base, name) for name in folders), base):
            try:
                os.rmdir(path)
            except FileNotFoundError:
                continue
            except OSError:
                return False
    return True


def _kill_all(folder: str) -> None:
    for base, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            for pid in _read(f"{base}/cgroup.procs").split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
