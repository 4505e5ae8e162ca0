"""A node's containerd, runc and CNI: their configuration, starting containerd, and loading images into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from devcluster import cgroups, files, layout, mounts, oci, processes, runtimes, shell, versions
from devcluster.layout import Layout
from devcluster.spec import ClusterSpec, NodeSpec

NAME = "containerd"
NAMESPACE = "k8s.io"
_CERTS = layout.NODE_LIB / "certs.d"
_CNI = layout.NODE_LIB / "cni"
MIRRORED = ("registry.k8s.io", "docker.io", "quay.io", "ghcr.io", "gcr.io")

_HEAD = """root = "{root}"
state = "{state}"

[grpc]
  address = "{socket}"

"""
_CONFIG_2 = """version = 3
{head}[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{pause}"

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "{certs}"

[plugins.'io.containerd.cri.v1.runtime']
  # without CAP_SYS_RESOURCE (a container, some VMs) nobody may lower an OOM score
  restrict_oom_score_adj = {restrict}

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{bin}"]
  conf_dir = "{cni}"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{bin}/runc"
  SystemdCgroup = false
"""
_CONFIG_1 = """version = 2
{head}[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = {restrict}

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{certs}"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{bin}"
  conf_dir = "{cni}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "{bin}/runc"
  SystemdCgroup = false
"""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a containerd finds and puts things; `pause` is the image of its sandboxes."""

    socket: Path
    binaries: Path
    cni: Path
    root: Path = Path("/var/lib/containerd")
    state: Path = Path("/run/containerd")
    certs: Path = Path("/etc/containerd/certs.d")
    pause: str = f"registry.k8s.io/pause:{versions.PAUSE}"


def config(paths: Paths, program: Path) -> str:
    """The configuration file, in the form that this containerd reads."""
    form = _CONFIG_2 if runtimes.version_of(program) >= (2, 0) else _CONFIG_1
    return form.format(
        head=_HEAD.format(root=paths.root, state=paths.state, socket=paths.socket),
        pause=paths.pause,
        certs=paths.certs,
        cni=paths.cni,
        bin=paths.binaries,
        restrict=str(not _may_lower_oom_score()).lower(),
    )


def configure(cluster: Layout, spec: ClusterSpec, node: NodeSpec) -> None:
    """Write containerd's, CNI's and the registry mirrors' files."""
    node_files = cluster.node(node.name)
    paths = Paths(layout.CONTAINERD_SOCKET, layout.NODE_BIN, _CNI, certs=_CERTS)
    files.write(node_files.outside(layout.CONTAINERD_CONFIG), config(paths, cluster.bin / "containerd"))
    files.write(node_files.outside(_CNI / "10-devcluster.conflist"), json.dumps(cni_config(spec, node), indent=1))
    for host in (*MIRRORED, spec.registry):
        url = f"http://{spec.registry}"
        files.write(
            node_files.outside(_CERTS / host / "hosts.toml"),
            f'server = "{url}"\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n',
        )


def cni_config(spec: ClusterSpec, node: NodeSpec) -> dict[str, object]:
    """A bridge on the node, addresses from the node's own CIDR, and host ports."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": plan.node_pods(node.index)}] for plan in spec.nets],
            "routes": [{"dst": "::/0" if ":" in plan.dns else "0.0.0.0/0"} for plan in spec.nets],
        },
    }
    return {
        "cniVersion": "1.0.0",
        "name": "devcluster",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def program(cluster: Layout, node: NodeSpec) -> processes.Program:
    return processes.Program(
        name=f"containerd of {node.name}",
        argv=[layout.NODE_BIN / "containerd", "--config", layout.CONTAINERD_CONFIG],
        pidfile=cluster.pids / f"{node.name}-{NAME}",
        log=cluster.node(node.name).logs / f"{NAME}.log",
        netns=cluster.netns(node.name),
        mounts=mounts.path_of(cluster, node.name),
        cgroup=f"{cluster.cgroup(node.name)}/{NAME}",
        env={"PATH": f"{layout.NODE_BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )


def start(cluster: Layout, node: NodeSpec) -> None:
    """Start it and wait until it answers. Its shims stay in its cgroup when it is restarted."""
    wanted = program(cluster, node)
    cgroups.make(cluster.cgroup(node.name), (NAME, "kubelet", "proxy"))
    processes.start(wanted)

    def answers() -> str | None:
        if not cluster.node(node.name).containerd_socket.is_socket():
            return "no socket yet"
        try:
            ctr(cluster, node.name, "version")
        except Exception as error:
            return str(error)
        return None

    processes.wait(wanted, answers, timeout=60)


def ctr(cluster: Layout, node: str, *arguments: str | Path, timeout: float = 300) -> str:
    """Run containerd's own command line tool against a node's."""
    socket = cluster.node(node).containerd_socket
    argv = [cluster.bin / "ctr", "--address", socket, "--namespace", NAMESPACE, *arguments]
    return shell.run(f"ctr on {node}", argv, timeout=timeout)


def load(cluster: Layout, node: str, store: oci.Store, image: str) -> None:
    """Give a node this image, under its tag and its digest as if it were pulled, unless it has it."""
    host, repository, _ = oci.split(image)
    by_digest = f"{host}/{repository}@{store.images()[image].digest}"
    present = ctr(cluster, node, "images", "ls", "-q").split()
    if image not in present:
        ctr(cluster, node, "images", "import", oci.archive(store, image))
    if by_digest not in present:
        ctr(cluster, node, "images", "tag", "--force", image, by_digest)


def _may_lower_oom_score() -> bool:
    status = Path("/proc/self/status").read_text()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(effective >> 24 & 1)  # CAP_SYS_RESOURCE
