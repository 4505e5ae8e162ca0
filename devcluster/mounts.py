"""A node's mount namespace: the machine's file system with /var, /run and /tmp of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import devcluster
from devcluster import shell
from devcluster.errors import DevClusterError
from devcluster.layout import OWN_FOLDERS, Layout

# Runs in the new namespace. Everything is private until the end, so nothing done here is seen outside; then shared, as
# a kubelet's mounts must reach containers. Inherited binds of other namespaces are let go, or they would outlive
# `ip netns del`. Relative paths (and -c, which leaves them so), since the first bind may cover the folder itself.
_SETUP = """
set -e
cd "$1"; shift
findmnt -rno TARGET -t nsfs | while read -r target; do umount -l "$target" || true; done
mkdir -p {folders} var/lib var/log var/tmp
chmod 1777 tmp var/tmp
[ -L var/run ] || ln -s /run var/run
for path in "$@"; do mkdir -p ".$path"; mount -c --rbind "$path" ".$path"; done
for folder in {folders}; do mount -c --rbind "./$folder" "/$folder"; done
mount --make-rshared /
"""
# Run inside another mount namespace than the machine's first, Linux 6.18 refuses one whose id is by chance lower.
_ATTEMPTS = 5


def path_of(layout: Layout, node: str) -> Path:
    """The file that holds a node's mount namespace."""
    return layout.mount_namespaces / node


def make(layout: Layout, node: str, programs: Iterable[Path]) -> Path:
    """The node's mount namespace; programs that lie under a folder it replaces stay visible at their paths."""
    file = path_of(layout, node)
    if is_whole(file):
        return file
    root = layout.node(node).root
    root.mkdir(parents=True, exist_ok=True)
    script = _SETUP.format(folders=" ".join(OWN_FOLDERS))
    command: list[str | Path] = [
        "unshare",
        f"--mount={file}",
        "--propagation",
        "private",
        "sh",
        "-c",
        script,
        "sh",
        root,
        *hidden(programs),
    ]
    for attempt in range(_ATTEMPTS):
        remove(layout, node)  # a half-made one: `unshare` binds the file before the script runs
        file.touch()
        try:
            shell.run(f"mount namespace of {node}", command)
        except DevClusterError as error:
            if "Invalid argument" not in error.why or attempt == _ATTEMPTS - 1:
                raise
        else:
            break
    return file


def hidden(programs: Iterable[Path]) -> list[Path]:
    """The folders needed inside (of these programs, and of this Python) that a node's own folders would cover."""
    package = Path(devcluster.__file__).resolve().parent.parent
    wanted = {
        *(program.resolve().parent for program in programs),
        package,
        Path(sys.prefix),
        Path(sys.base_prefix).resolve(),
    }
    covered = {path for path in wanted if path.parts[1:2] and path.parts[1] in OWN_FOLDERS}
    return sorted(path for path in covered if not any(parent in covered for parent in path.parents))


def make_base(layout: Layout) -> None:
    """A folder whose mounts don't propagate: the kernel refuses to hold a mount namespace in a shared one."""
    folder = layout.mount_namespaces
    folder.mkdir(parents=True, exist_ok=True)
    found = shell.run("mount propagation", ["findmnt", "-no", "PROPAGATION", "-T", folder])
    if "shared" in found:
        shell.run("private mount", ["mount", "--bind", "--make-private", folder, folder])


def is_mounted(path: Path) -> bool:
    """Whether something is mounted exactly here."""
    return any(line.split(" ", 5)[4] == str(path) for line in Path("/proc/self/mountinfo").read_text().splitlines())


def is_whole(file: Path) -> bool:
    """Whether this file holds a mount namespace whose setup came to its end: sharing is the last it does."""
    if not is_mounted(file):
        return False
    look = ["nsenter", f"--mount={file}", "--", "findmnt", "-no", "PROPAGATION", "-T", "/"]
    return "shared" in shell.run(f"mount namespace of {file.name}", look)


def remove(layout: Layout, node: str) -> None:
    """Let a node's mount namespace go; it ends with its last process."""
    file = path_of(layout, node)
    if is_mounted(file):
        shell.run(f"mount namespace of {node}", ["umount", "-l", file])
    file.unlink(missing_ok=True)


def remove_base(layout: Layout) -> None:
    """Undo `make_base`."""
    if is_mounted(layout.mount_namespaces):
        shell.run("private mount", ["umount", "-l", layout.mount_namespaces])
