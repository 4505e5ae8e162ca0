"""Reads the machine: cores, memory, identity from /proc, /sys and /etc; filesystems by statvfs.

Source of what is read where: cadvisor's machine package, whose answers a genuine node shows.
"""

import os
import platform
import re
import time
from pathlib import Path
from typing import Final

from pykubelet.model.machine import Filesystem, Machine

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_UUIDS: Final = ("sys/class/dmi/id/product_uuid", "proc/device-tree/system-id", "proc/device-tree/vm,uuid")
_IDS: Final = ("etc/machine-id", "var/lib/dbus/machine-id")
_ALL_IDS: Final = ["0", "0", "4294967295"]
"""The uid_map of a process that is in no user namespace."""
_PRETTY_NAME: Final = re.compile(r"PRETTY_NAME=(.*)")
_HUGE_PAGES: Final = re.compile(r"hugepages-(\d+)kB")


def read(root: Path = Path("/")) -> Machine:
    """The machine as files under `root` describe it."""
    memory = memory_info(root)
    sockets, physical = _cpus(root)
    return Machine(
        cores=os.cpu_count() or 1,
        memory=memory.get("MemTotal", 0),
        swap=memory.get("SwapTotal", 0),
        huge_pages=_huge_pages(root / "sys/kernel/mm/hugepages"),
        machine_id=_first(root, *_IDS),
        system_uuid=_first(root, *_UUIDS, *_IDS),
        boot_id=_first(root, "proc/sys/kernel/random/boot_id"),
        booted_at=time.time() - time.clock_gettime(time.CLOCK_BOOTTIME),
        kernel=platform.release(),
        os_image=_os_image(root),
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        max_pids=max_pids(root),
        in_user_namespace=_first(root, "proc/self/uid_map").split() not in (_ALL_IDS, []),
        physical_cores=physical,
        sockets=sockets,
    )


def max_pids(root: Path = Path("/")) -> int:
    """How many processes and threads the machine can have by now; 0 if it does not say. It may change at any time."""
    return min(_number(root, "proc/sys/kernel/pid_max"), _number(root, "proc/sys/kernel/threads-max"))


def has_apparmor(root: Path = Path("/")) -> bool:
    """Whether the kernel confines processes by AppArmor profiles, and lets us see which it has."""
    profiles = root / "sys/kernel/security/apparmor"
    return profiles.exists() and _first(root, "sys/module/apparmor/parameters/enabled").startswith("Y")


def is_swapping(root: Path = Path("/")) -> bool:
    """Whether any swap is on; it may be full, or of no size. Source: K/pkg/kubelet/util/swap."""
    return len(_first(root, "proc/swaps").splitlines()) > 1


def can_limit_swap(root: Path = Path("/")) -> bool:
    """Whether the kernel keeps cgroups from swapping. Source: checkSwapControllerAvailability in K."""
    cgroups = root / "sys/fs/cgroup"
    if not (cgroups / "cgroup.controllers").exists():
        return (cgroups / "memory/memory.memsw.limit_in_bytes").exists()
    # The root of the tree has no limits, so the agent's own cgroup is looked at.
    own = _first(root, "proc/self/cgroup").rpartition("0::")[2]
    return (cgroups / own.lstrip("/") / "memory.swap.max").exists()


def thermal_paths(root: Path = Path("/")) -> tuple[str, ...]:
    """The files that tell how hot each CPU gets, from which the load of neighbours can be read."""
    found = root.glob("sys/devices/system/cpu/cpu*/thermal_throttle")
    return tuple(sorted(f"/{path.relative_to(root)}" for path in found))


def filesystem(path: str | os.PathLike[str]) -> Filesystem:
    """The filesystem that holds `path`; raises OSError."""
    found = os.statvfs(path)
    return Filesystem(
        capacity=found.f_frsize * found.f_blocks,
        available=found.f_frsize * found.f_bavail,
        used=found.f_frsize * (found.f_blocks - found.f_bfree),
        inodes=found.f_files,
        inodes_free=found.f_ffree,
    )


def same_disk(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> bool:
    """Whether two paths lie on one filesystem; raises OSError."""
    return os.stat(a).st_dev == os.stat(b).st_dev


def memory_info(root: Path = Path("/")) -> dict[str, int]:
    """/proc/meminfo in bytes."""
    values: dict[str, int] = {}
    for line in (root / "proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        amount, _, unit = rest.strip().partition(" ")
        if amount.isdecimal():
            values[name] = int(amount) * (1024 if unit == "kB" else 1)
    return values


def _cpus(root: Path) -> tuple[int, int]:
    """How many sockets there are, and how many cores that are more than another's second thread."""
    found = set()
    for topology in root.glob("sys/devices/system/cpu/cpu[0-9]*/topology"):
        found.add((_read(topology / "physical_package_id"), _read(topology / "core_id")))
    return len({socket for socket, _ in found}), len(found)


def _huge_pages(folder: Path) -> dict[int, int]:
    pages: dict[int, int] = {}
    for found in sorted(folder.glob("hugepages-*")) if folder.is_dir() else ():
        size = _HUGE_PAGES.fullmatch(found.name)
        if size is not None:
            pages[int(size[1]) * 1024] = int(size[1]) * 1024 * int(_read(found / "nr_hugepages") or 0)
    return pages


def _os_image(root: Path) -> str:
    text = _first(root, "etc/os-release", "usr/lib/os-release")
    if not text:
        return "Unknown"
    found = _PRETTY_NAME.search(text)
    return found[1].strip('"') if found else "Linux"


def _number(root: Path, name: str) -> int:
    text = _first(root, name)
    return int(text) if text.isdecimal() else 0


def _first(root: Path, *names: str) -> str:
    return next((text for name in names if (text := _read(root / name))), "")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip().strip("\0")
    except OSError:
        return ""
