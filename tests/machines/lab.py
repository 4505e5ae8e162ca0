"""Some machines on a switch of their own, and what is theirs: a folder, namespaces, cgroups. Nothing outlives a lab.

Its folder holds a lock while the lab's process lives: a lab that was killed is cleared away by the next one.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from devcluster import cgroups
from tests.machines.machine import NETWORK, Machine, Place

HOME: Final = Path("/var/lib")
PREFIX: Final = "km-"


class Lab:
    """Used in a `with`: what is made in it is taken away at its end, also after an error."""

    def __init__(self, base: Path) -> None:
        """`base` is the root that its machines lay their own files over."""
        self.base = base
        self.machines: list[Machine] = []

    def __enter__(self) -> Self:
        for left in HOME.glob(f"{PREFIX}*"):
            _clear_if_dead(left)
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=HOME))
        self._lock = _locked(self.folder)
        assert self._lock is not None
        switch = self.folder.name
        cgroups.make(f"/{switch}")
        _ip(f"netns add {switch}; ip -n {switch} link set lo up; ip -n {switch} link add br0 type bridge")
        _ip(f"-n {switch} addr add {NETWORK}.1/24 dev br0; ip -n {switch} link set br0 up")
        return self

    def machine(
        self, name: str, binds: Mapping[Path, str], *, base: Path | None = None, options: tuple[str, ...] = ()
    ) -> Machine:
        """A machine, up. `binds` are folders of this host that it sees, read-only.

        `base` is its root, if not that of the lab; `options` are further ones of systemd-nspawn.
        """
        number = len(self.machines) + 1
        token = self.folder.name
        place = Place(self.folder / name, f"{token}-{name}", f"/{token}/{name}")
        port = f"p-{name}"
        _ip(f"netns add {place.netns}; ip -n {place.netns} link set lo up")
        _ip(f"link add {port} netns {token} type veth peer name eth0 netns {place.netns}")
        made = Machine(name, number, base or self.base, place, binds, options)
        _ip(f"-n {token} link set {port} master br0 up")
        _ip(f"-n {place.netns} addr add {made.address}/24 dev eth0; ip -n {place.netns} link set eth0 up")
        _ip(f"-n {place.netns} route add default via {NETWORK}.1")
        self.machines.append(made)
        made.up()
        return made

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for machine in self.machines:
            machine.down()
        _clear(self.folder)
        assert self._lock is not None
        self._lock.close()


def _locked(folder: Path) -> IO[str] | None:
    """The folder's lock, held; None if somebody else holds it."""
    file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _clear_if_dead(folder: Path) -> None:
    if not (folder / "lock").exists():
        return
    lock = _locked(folder)
    if lock is not None:
        _clear(folder)
        lock.close()


def _clear(folder: Path) -> None:
    """Take away what the lab of this folder made; its processes are those in its cgroup."""
    token = folder.name
    cgroups.kill(f"/{token}")
    cgroups.remove(f"/{token}")
    for netns in (*Path("/run/netns").glob(f"{token}-*"), *Path("/run/netns").glob(token)):
        subprocess.run(["ip", "netns", "del", netns.name], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)
    assert not os.path.ismount(folder)


def _ip(words: str) -> None:
    subprocess.run(f"set -e; ip {words}", shell=True, check=True, capture_output=True)
