"""Machine-wide limits that several clusters on one machine run into: seen before they make a program end."""

from __future__ import annotations

import os
from pathlib import Path

from devcluster.errors import DevClusterError
from devcluster.spec import Agent, ClusterSpec

_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
_API_SERVER = 6  # inotify instances that one of each holds, as counted here
_CONTROLLER_MANAGER = 7
_CONTAINERD = 2
_GENUINE_KUBELET = 7
_SPARE = 4


def inotify_needed(spec: ClusterSpec) -> int:
    """How many inotify instances a whole cluster holds."""
    kubelets = sum(node.kubelet is Agent.GENUINE for node in spec.nodes)
    nodes = _CONTAINERD * len(spec.nodes) + _GENUINE_KUBELET * kubelets
    return _API_SERVER * spec.api_servers + _CONTROLLER_MANAGER + nodes + _SPARE


def inotify_used(proc: Path = Path("/proc")) -> int:
    """How many root's processes hold."""
    count = 0
    for folder in proc.glob("[0-9]*/fd"):
        try:
            count += sum(os.readlink(entry) == "anon_inode:inotify" for entry in folder.iterdir())
        except OSError:
            continue  # it has ended meanwhile
    return count


def check(spec: ClusterSpec) -> None:
    """DevClusterError if a new cluster of this kind would not find what it needs."""
    try:
        limit = int(_INOTIFY.read_text())
    except OSError:
        return
    used, needed = inotify_used(), inotify_needed(spec)
    if used + needed > limit:
        why = f"{needed} inotify instances are needed, and {used} of {limit} are in use (other clusters?)"
        raise DevClusterError(
            "machine limits", why, hint=f"sysctl -w fs.inotify.max_user_instances={max(1024, limit * 8)}"
        )
