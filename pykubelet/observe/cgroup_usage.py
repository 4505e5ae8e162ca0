"""Reads what a cgroup uses and which there are, on cgroup v1 and v2. Source: cadvisor's and runc's reading of them."""

import dataclasses
import re
import time
from collections.abc import Mapping
from pathlib import Path

from pykubelet.model.ids import Uid
from pykubelet.model.stats import Psi, PsiData
from pykubelet.observe import machine

_MOUNT = Path("/sys/fs/cgroup")
_PRESSURE = Path("/proc/pressure")
_ID = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, slots=True)
class CgroupUsage:
    """`at` in epoch seconds, CPU in nanoseconds since the cgroup was made, memory in bytes.

    `swap_limit` is the file's: on cgroup v1 it is the limit on memory and swap together.
    """

    at: float
    cpu: int
    memory: int
    working_set: int
    rss: int
    page_faults: int
    major_page_faults: int
    swap: int
    memory_limit: int | None = None
    swap_limit: int | None = None


def below(pods: Mapping[Uid, str], *, mount: Path = _MOUNT) -> dict[str, str]:
    """The cgroups of the containers and sandboxes of these Pods (UID to cgroup), by the runtime's id."""
    top = mount if (mount / "cgroup.controllers").exists() else mount / "memory"
    found = {}
    for path in pods.values():
        folder = top / path.strip("/")
        for inner in folder.iterdir() if folder.is_dir() else ():
            if id_ := _ID.search(inner.name):
                found[id_[0]] = f"{path}/{inner.name}"
    return found


def cpu_quota(path: str, *, mount: Path = _MOUNT) -> int | None:
    """Microseconds of CPU that a cgroup may use in each period; None if it has no limit."""
    inside = path.strip("/")
    try:
        if (mount / "cgroup.controllers").exists():
            first = (mount / inside / "cpu.max").read_text().split()[0]
        else:
            first = (mount / "cpu" / inside / "cpu.cfs_quota_us").read_text().strip()
    except OSError:
        return None
    return int(first) if first.isdecimal() else None


def pressure(path: str, resource: str, *, mount: Path = _MOUNT, machine: Path = _PRESSURE) -> Psi | None:
    """How long a cgroup's processes waited for `cpu`, `memory` or `io`; None where that is not measured (cgroup v1)."""
    inside = path.strip("/")
    file = mount / inside / f"{resource}.pressure" if inside else machine / resource
    try:
        lines = {words[0]: words[1:] for line in file.read_text().splitlines() if (words := line.split())}
        return Psi(full=_psi_data(lines.get("full", [])), some=_psi_data(lines["some"]))
    except (OSError, KeyError, ValueError):
        return None


def _psi_data(words: list[str]) -> PsiData:
    values = dict(word.split("=") for word in words)
    return PsiData(
        total=int(values.get("total", 0)),
        avg10=float(values.get("avg10", 0)),
        avg60=float(values.get("avg60", 0)),
        avg300=float(values.get("avg300", 0)),
    )


def read(path: str, *, mount: Path = _MOUNT) -> CgroupUsage:
    """The cgroup at `path` (`/` is the whole machine). Raises OSError if it is not there."""
    inside = path.strip("/")
    return _unified(mount / inside) if (mount / "cgroup.controllers").exists() else _legacy(mount, inside)


def _legacy(mount: Path, inside: str) -> CgroupUsage:
    memory = mount / "memory" / inside
    stat = _table(memory / "memory.stat")
    usage = int((memory / "memory.usage_in_bytes").read_text())
    limit, swap_limit = (_number(memory / f"memory.{what}limit_in_bytes") for what in ("", "memsw."))
    return CgroupUsage(
        at=time.time(),
        cpu=int((mount / "cpuacct" / inside / "cpuacct.usage").read_text()),
        memory=usage,
        working_set=max(0, usage - stat.get("total_inactive_file", 0)),
        rss=stat.get("total_rss", 0),
        page_faults=stat.get("total_pgfault", 0),
        major_page_faults=stat.get("total_pgmajfault", 0),
        swap=stat.get("total_swap", 0),
        # "No limit" is the largest number of pages there is.
        memory_limit=_limited(limit),
        swap_limit=_limited(swap_limit),
    )


def _unified(folder: Path) -> CgroupUsage:
    stat = _table(folder / "memory.stat")
    current = folder / "memory.current"
    if current.exists():
        usage, swap = int(current.read_text()), _number(folder / "memory.swap.current") or 0
    else:  # the root cgroup does not say
        info = machine.memory_info()
        usage = info.get("MemTotal", 0) - info.get("MemFree", 0)
        swap = info.get("SwapTotal", 0) - info.get("SwapFree", 0)
    return CgroupUsage(
        at=time.time(),
        cpu=_table(folder / "cpu.stat").get("usage_usec", 0) * 1000,
        memory=usage,
        working_set=max(0, usage - stat.get("inactive_file", 0)),
        rss=stat.get("anon", 0),
        page_faults=stat.get("pgfault", 0),
        major_page_faults=stat.get("pgmajfault", 0),
        swap=swap,
        memory_limit=_number(folder / "memory.max"),
        swap_limit=_number(folder / "memory.swap.max"),
    )


def _table(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in path.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _limited(limit: int | None) -> int | None:
    return limit if limit is not None and limit < 1 << 62 else None


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
