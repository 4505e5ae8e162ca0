"""Where everything of a cluster lies: the state folder, the cache, and the paths a node sees. No I/O.

Inside a node /var, /run and /tmp are the node's own, so the usual paths (/var/lib/kubelet, /var/log/pods,
/run/containerd/containerd.sock) mean what they mean on a real machine. From outside they lie under `Layout.node(...)`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

OWN_FOLDERS = ("var", "run", "tmp")  # what each node has for itself, under its folder and at the root inside

# Paths as the processes of a node see them.
NODE_LIB = Path("/var/lib/node")
NODE_BIN = NODE_LIB / "bin"
KUBELET_ROOT = Path("/var/lib/kubelet")
KUBELET_CONFIG = KUBELET_ROOT / "config.yaml"
KUBELET_KUBECONFIG = KUBELET_ROOT / "kubeconfig"
KUBELET_BOOTSTRAP = KUBELET_ROOT / "bootstrap-kubeconfig"  # not made: a test may
KUBELET_CERTS = KUBELET_ROOT / "pki"
PROXY_CONFIG = Path("/var/lib/kube-proxy/config.conf")
PROXY_KUBECONFIG = Path("/var/lib/kube-proxy/kubeconfig.conf")
CONTAINERD_CONFIG = NODE_LIB / "containerd.toml"
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
CLIENT_CA = NODE_LIB / "ca.crt"
KUBELET_ARGUMENTS = NODE_LIB / "kubelet-arguments"  # more of them for this node, one a line
STATIC_PODS = NODE_LIB / "static-pods"


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """One node's files as seen from the machine."""

    root: Path
    name: str

    def outside(self, path: Path) -> Path:
        """Where a path inside the node lies on the machine: /var/lib/kubelet -> <node>/var/lib/kubelet."""
        first, *rest = path.parts[1:]
        return self.root / first / Path(*rest) if first in OWN_FOLDERS else path

    @property
    def kubelet_root(self) -> Path:
        return self.outside(KUBELET_ROOT)

    @property
    def containerd_socket(self) -> Path:
        return self.outside(CONTAINERD_SOCKET)

    @property
    def pod_logs(self) -> Path:
        return self.outside(Path("/var/log/pods"))

    @property
    def logs(self) -> Path:
        return self.root / "log"


@dataclass(frozen=True, slots=True)
class Layout:
    """The state folder of one cluster, and the names made from the cluster's."""

    name: str
    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "cluster.json"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def kubeconfigs(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def admin(self) -> Path:
        return self.kubeconfigs / "admin.conf"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def pids(self) -> Path:
        return self.root / "pids"

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def kubectl(self) -> Path:
        """A script that runs kubectl as the administrator, inside the control plane's network."""
        return self.root / "kubectl"

    @property
    def mount_namespaces(self) -> Path:
        return self.root / "mnt"

    def node(self, name: str) -> NodeLayout:
        return NodeLayout(self.root / "nodes" / name, name)

    def netns(self, member: str) -> str:
        """Network namespace of a member: a node's name, `cp` (the control plane) or `net` (the bridge between)."""
        return f"{self.name}-{member}"

    def cgroup(self, member: str) -> str:
        """Path of a member's cgroup below the root of every hierarchy."""
        return f"/{self.name}-{member}"


def state_home() -> Path:
    """Where clusters keep their state: $DEVCLUSTER_STATE, else /var/lib/devcluster."""
    return Path(os.environ.get("DEVCLUSTER_STATE") or "/var/lib/devcluster")


def cache_home() -> Path:
    """What outlives clusters, keyed by version: $XDG_CACHE_HOME/devcluster, else ~/.cache/devcluster."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "devcluster"


def of(name: str) -> Layout:
    return Layout(name, state_home() / name)
