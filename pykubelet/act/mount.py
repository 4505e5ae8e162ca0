"""mount(2) and umount2(2), and what is mounted below a folder."""

import ctypes
import os
import platform
import re
from pathlib import Path

BIND, REMOUNT, RDONLY = 0x1000, 0x20, 0x1
_DETACH, _NOFOLLOW = 2, 8
_libc = ctypes.CDLL(None, use_errno=True)


def tmpfs(target: Path, *, options: str = "") -> None:
    """Mount a tmpfs that is never swapped out if the kernel can have that, with options such as `size=65536`.

    OSError when the kernel refuses.
    """
    _mount("tmpfs", target, "tmpfs", 0, ",".join(filter(None, (options, "noswap" if can_forbid_swap() else ""))))


def can_forbid_swap() -> bool:
    """Whether a tmpfs may be told not to swap. Source: IsTmpfsNoswapOptionSupported in K/pkg/kubelet/util/swap."""
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    if version is None or (int(version[1]), int(version[2])) < (6, 4):
        return False
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def huge_pages(target: Path, *, page_size: int) -> None:
    """Mount memory in pages of so many bytes."""
    _mount("nodev", target, "hugetlbfs", 0, f"pagesize={page_size}")


def bind(source: Path, target: Path, *, read_only: bool = False) -> None:
    """Make `source` appear at `target`, which exists and is of the same kind."""
    _mount(str(source), target, "", BIND, "")
    if read_only:
        try:
            _mount("", target, "", BIND | REMOUNT | RDONLY, "")
        except OSError:
            # Left mounted it would be taken for ready, and could be written.
            unmount(target)
            raise


def unmount(target: Path) -> None:
    """Take away what is mounted here, in the background if it is in use; nothing mounted is no error."""
    if _libc.umount2(os.fsencode(target), _DETACH | _NOFOLLOW):
        code = ctypes.get_errno()
        if code not in (22, 2):  # EINVAL: not a mount point; ENOENT: not there
            raise OSError(code, os.strerror(code), str(target))


def is_file_system(target: Path) -> bool:
    """Whether a file system of its own is mounted here. A bind mount from the same one is not told apart."""
    # Two stats instead of the whole mount table, which grows with every Pod.
    return target.stat().st_dev != target.parent.stat().st_dev


def is_mounted(target: Path) -> bool:
    """Whether anything is mounted exactly here; reads the whole mount table."""
    return str(_real(target)) in _mount_points()


def below(folder: Path) -> list[Path]:
    """The mount points at and below a folder, deepest first."""
    real = str(_real(folder))
    found = [folder / point[len(real) + 1 :] for point in _mount_points() if f"{point}/".startswith(f"{real}/")]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def _real(path: Path) -> Path:
    """As the kernel's table has it, without links: a kubelet's folder may be one. What is mounted here is not asked."""
    return Path(os.path.realpath(path.parent), path.name)


def _mount_points() -> list[str]:
    with open("/proc/self/mountinfo", "rb") as file:
        points = [line.split(b" ", 5)[4] for line in file]
    # Space, tab, newline and backslash are written as octal escapes.
    return [point.decode("unicode_escape") if b"\\" in point else point.decode() for point in points]


def _mount(source: str, target: Path, kind: str, flags: int, options: str) -> None:
    words = (os.fsencode(source), os.fsencode(target), kind.encode() or None)
    if _libc.mount(*words, ctypes.c_ulong(flags), options.encode() or None):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))
