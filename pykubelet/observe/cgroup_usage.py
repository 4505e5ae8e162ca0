"""Reads what a cgroup uses, on cgroup v1 and v2. Source: cadvisor's and runc's reading of the same files."""

import dataclasses
import time
from pathlib import Path

from pykubelet.observe import machine


@dataclasses.dataclass(frozen=True, slots=True)
class CgroupUsage:
    """`at` in epoch seconds, CPU in nanoseconds since the cgroup was made, memory in bytes."""

    at: float
    cpu: int
    memory: int
    working_set: int
    rss: int
    page_faults: int
    major_page_faults: int
    swap: int
    memory_limit: int | None = None


def read(path: str, *, mount: Path = Path("/sys/fs/cgroup")) -> CgroupUsage:
    """The cgroup at `path` (`/` is the whole machine). Raises OSError if it is not there."""
    inside = path.strip("/")
    return _unified(mount / inside) if (mount / "cgroup.controllers").exists() else _legacy(mount, inside)


def _legacy(mount: Path, inside: str) -> CgroupUsage:
    memory = mount / "memory" / inside
    stat = _table(memory / "memory.stat")
    usage = int((memory / "memory.usage_in_bytes").read_text())
    limit = int((memory / "memory.limit_in_bytes").read_text())
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
        memory_limit=limit if limit < 1 << 62 else None,
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
    )


def _table(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in path.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
