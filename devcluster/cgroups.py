"""The cgroups of a cluster's members, in every hierarchy the machine has (v1, v2 or both): make, list, kill, remove."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import DevClusterError

_V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "pids", "hugetlb")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted cgroup tree."""

    path: Path
    version: int

    @property
    def cpuset(self) -> bool:
        return self.version == 1 and (self.path / "cpuset.cpus").exists()


def hierarchies(mountinfo: str | None = None) -> tuple[Hierarchy, ...]:
    """Every cgroup tree mounted on this machine, each once."""
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    found: dict[Path, Hierarchy] = {}
    for line in text.splitlines():
        head, _, tail = line.partition(" - ")
        kind = tail.split(" ", 1)[0]
        root, path = head.split(" ")[3:5]
        if kind in ("cgroup", "cgroup2") and root == "/":
            found.setdefault(Path(path), Hierarchy(Path(path), 2 if kind == "cgroup2" else 1))
    return tuple(found.values())


def make(cgroup: str, leaves: tuple[str, ...] = ()) -> None:
    """Make a cgroup such as /dev-n1 (and leaves below it) in every hierarchy, able to hold processes and children."""
    for tree in hierarchies():
        top = tree.path / cgroup.lstrip("/")
        for path in (top, *(top / leaf for leaf in leaves)):
            try:
                path.mkdir(parents=True, exist_ok=True)
                _prepare(tree, path)
            except OSError as error:
                raise DevClusterError(f"cgroup {path}", str(error)) from error


def _prepare(tree: Hierarchy, path: Path) -> None:
    if tree.cpuset:  # a cpuset without cpus and mems takes no process
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not (path / name).read_text().strip():
                (path / name).write_text((path.parent / name).read_text())
    if tree.version == 2:
        available = (path.parent / "cgroup.controllers").read_text().split()
        wanted = " ".join(f"+{name}" for name in _V2_CONTROLLERS if name in available)
        if wanted:
            (path.parent / "cgroup.subtree_control").write_text(wanted)


def procs_files(cgroup: str) -> list[Path]:
    """The files a process writes its pid to in order to enter this cgroup in every hierarchy."""
    return [tree.path / cgroup.lstrip("/") / "cgroup.procs" for tree in hierarchies()]


def members(prefix: str) -> list[str]:
    """The top-level cgroups whose name begins with `prefix`, in any hierarchy."""
    names = {path.name for tree in hierarchies() for path in tree.path.glob(f"{prefix}*") if path.is_dir()}
    return sorted(f"/{name}" for name in names)


def pids(cgroup: str) -> set[int]:
    """Every process in this cgroup or below, in any hierarchy."""
    found: set[int] = set()
    for tree in hierarchies():
        for folder, _, _ in os.walk(tree.path / cgroup.lstrip("/")):
            with contextlib.suppress(OSError):
                found.update(int(line) for line in Path(folder, "cgroup.procs").read_text().split())
    return found - {0}


def kill(cgroup: str, *, timeout: float = 20) -> None:
    """Kill every process of this cgroup, also those it starts meanwhile; a frozen one is thawed first."""
    deadline = time.monotonic() + timeout
    _thaw(cgroup)
    while left := pids(cgroup):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise DevClusterError(f"cgroup {cgroup}", f"processes {sorted(left)} did not die within {timeout:g} s")
        time.sleep(0.02)


def _thaw(cgroup: str) -> None:
    for tree in hierarchies():
        for folder, _, _ in os.walk(tree.path / cgroup.lstrip("/")):
            for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                with contextlib.suppress(OSError):
                    file = Path(folder, name)
                    if file.exists():
                        file.write_text(value)


def remove(cgroup: str, *, timeout: float = 5) -> None:
    """Remove an empty cgroup and everything below it from every hierarchy."""
    deadline = time.monotonic() + timeout
    for tree in hierarchies():
        top = tree.path / cgroup.lstrip("/")
        for folder, _, _ in os.walk(top, topdown=False):
            while Path(folder).exists():
                try:
                    os.rmdir(folder)
                except FileNotFoundError:
                    break
                except OSError as error:  # EBUSY for a moment after the last process has died
                    if time.monotonic() > deadline:
                        raise DevClusterError(f"cgroup {folder}", f"cannot be removed: {error}") from error
                    time.sleep(0.02)
