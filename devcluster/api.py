"""What tests and benches do to a cluster: run in a node, kill and restart its parts, cut it off, look at its files.

cluster = Cluster("dev")
cluster.node("n1").restart("kubelet", sign=signal.SIGKILL)
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from devcluster import (
    agents,
    binaries,
    cgroups,
    containerd,
    controlplane,
    identities,
    images,
    kube,
    layout,
    mounts,
    netns,
    oci,
    processes,
    recipes,
    registry,
    shell,
    state,
    tools,
)
from devcluster import node as nodes
from devcluster.errors import DevClusterError
from devcluster.progress import Reporter
from devcluster.spec import Agent, ClusterSpec, NodeSpec


class Node:
    """One node of a running cluster."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self.name = name
        self.files = cluster.files.node(name)

    @property
    def spec(self) -> NodeSpec:
        return self._cluster.spec.node(self.name)

    @property
    def address(self) -> str:
        return self._cluster.spec.primary.node(self.spec.index)

    @property
    def registry(self) -> str:
        """host:port of the cluster's image registry, as this node reaches it."""
        return self._cluster.spec.registry

    @property
    def netns(self) -> Path:
        """Its network namespace, for `nsenter --net=`."""
        return netns.path(self._cluster.files.netns(self.name))

    @property
    def mount_namespace(self) -> Path:
        return mounts.path_of(self._cluster.files, self.name)

    @property
    def containerd_socket(self) -> Path:
        """As seen from the machine; inside the node it is /run/containerd/containerd.sock."""
        return self.files.containerd_socket

    @property
    def kubelet_root(self) -> Path:
        """As seen from the machine; inside the node it is /var/lib/kubelet. Mounts below are seen inside alone."""
        return self.files.kubelet_root

    @property
    def cgroup_root(self) -> str:
        """Its cgroup in every hierarchy; Pods are below <this>/kubepods."""
        return self._cluster.files.cgroup(self.name)

    def pid(self, part: str) -> int:
        """Process id of `kubelet`, `proxy` or `containerd`; DevClusterError if it doesn't run."""
        record = processes.find(self._program(part).pidfile)
        if record is None:
            raise DevClusterError(f"{part} of {self.name}", "it doesn't run", log=self.log(part))
        return record.pid

    def runs(self, part: str) -> bool:
        return processes.find(self._program(part).pidfile) is not None

    def log(self, part: str) -> Path:
        return self._program(part).log

    def enter(self) -> list[str]:
        """What to put in front of a command line so that it runs inside the node."""
        return netns.enter(self._cluster.files.netns(self.name), self.mount_namespace)

    def exec(self, *argv: str | Path, timeout: float = 60, stdin: str | None = None) -> str:
        """Run a program inside the node; its output, or DevClusterError."""
        return shell.run(f"{argv[0]} on {self.name}", [*self.enter(), *argv], timeout=timeout, stdin=stdin)

    def ctr(self, *argv: str | Path) -> str:
        """Run containerd's ctr against this node, in the k8s.io namespace."""
        return containerd.ctr(self._cluster.files, self.name, *argv)

    def stop(self, part: str, *, sign: int = signal.SIGTERM, grace: float = 10) -> None:
        """Stop `kubelet`, `proxy` or `containerd`. Containers and their shims go on."""
        processes.stop(self._program(part).pidfile, sign=sign, grace=grace)

    def start(self, part: str, *, wait: bool = True) -> None:
        """Start it again as it was. With `wait`, until it says that it is ready."""
        files, spec = self._cluster.files, self._cluster.spec
        if part == containerd.NAME:
            containerd.start(files, self.spec)
            return
        agents.start(files, spec, self.spec, part)
        if wait:
            nodes.wait_ready(files, spec, self.spec, self._cluster.api)

    def restart(self, part: str, *, sign: int = signal.SIGTERM, wait: bool = True) -> None:
        """End it with this signal and start it."""
        self.stop(part, sign=sign)
        self.start(part, wait=wait)

    def use(self, *, kubelet: Agent | None = None, proxy: Agent | None = None, wait: bool = True) -> None:
        """Swap an agent: ours, the genuine one or none; the other stays. Remembered in the cluster's state."""
        old = self.spec
        self._cluster.change(NodeSpec(self.name, kubelet or old.kubelet, proxy or old.proxy))
        for role, changed in ((agents.KUBELET, kubelet), (agents.PROXY, proxy)):
            if changed is not None:
                agents.start(self._cluster.files, self._cluster.spec, self.spec, role)
        if wait:
            nodes.wait_ready(self._cluster.files, self._cluster.spec, self.spec, self._cluster.api)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """While this is open, what the node sends to the API servers is dropped; all else flows."""
        netns.cut(self._cluster.files, self._cluster.spec, [self.name])
        try:
            yield
        finally:
            netns.cut(self._cluster.files, self._cluster.spec, [])

    def cgroup_pids(self) -> set[int]:
        """Every process on the node, containers included."""
        return cgroups.pids(self.cgroup_root)

    def _program(self, part: str) -> processes.Program:
        if part == containerd.NAME:
            return containerd.program(self._cluster.files, self.spec)
        return agents.program(self._cluster.files, self._cluster.spec, self.spec, part)


class Cluster:
    """A cluster that is up."""

    def __init__(self, name: str = "dev") -> None:
        self.name = name
        self.files = layout.of(name)
        self.spec: ClusterSpec = state.need(self.files)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's; it works inside `netns`."""
        return self.files.admin

    @property
    def netns(self) -> Path:
        """The control plane's network namespace."""
        return netns.path(self.files.netns(netns.CONTROL_PLANE))

    @property
    def api(self) -> kube.Client:
        """A small client that works from outside the cluster's network."""
        return identities.admin_client(self.files, self.spec)

    def node(self, name: str) -> Node:
        self.spec.node(name)
        return Node(self, name)

    def nodes(self) -> list[Node]:
        return [Node(self, member.name) for member in self.spec.nodes]

    def change(self, member: NodeSpec) -> None:
        """Remember a changed node."""
        # Another program may have added nodes since.
        self.spec = state.need(self.files).with_node(member)
        state.save(self.files, self.spec)

    def kubectl(self, *argv: str, stdin: str | None = None, timeout: float = 120) -> str:
        return shell.run(f"kubectl {' '.join(argv)}", [self.files.kubectl, *argv], stdin=stdin, timeout=timeout)

    def exec(self, *argv: str | Path, timeout: float = 60) -> str:
        """Run a program in the control plane's network."""
        enter = netns.enter(self.files.netns(netns.CONTROL_PLANE))
        return shell.run(f"{argv[0]}", [*enter, *argv], timeout=timeout)

    def stop(self, program: str, *, sign: int = signal.SIGKILL) -> None:
        """End a program of the control plane, such as etcd, kube-apiserver, kube-apiserver-2 or kube-scheduler.

        At once by default: an API server asked politely goes on serving its watches for a while.
        """
        processes.stop(self.files.pids / program, sign=sign)
        controlplane.balance(self.files, self.spec)

    def start(self, program: str, *, wait: bool = True) -> None:
        """Start a control-plane program again; an API server is waited for."""
        found = binaries.resolve(tools.CLUSTER, Reporter(quiet=True), given=self.spec.binaries)
        programs = controlplane.programs(self.files, self.spec, found)
        wanted = next((one for one in programs if one.name == program), None)
        if wanted is None:
            names = ", ".join(one.name for one in programs)
            raise DevClusterError(f"start {program}", f"the control plane runs {names}")
        controlplane.launch(wanted)
        controlplane.balance(self.files, self.spec)
        if wait and program.startswith("kube-apiserver"):
            processes.wait(wanted, self.api.ready, timeout=90)

    @contextmanager
    def without(self, program: str) -> Iterator[None]:
        """While this is open, a control-plane program is stopped."""
        self.stop(program)
        try:
            yield
        finally:
            self.start(program)

    def publish(self, name: str, *, like: str = recipes.PAUSE) -> None:
        """Give one of the images a further name in the cluster's registry, as if it had just been pushed."""
        store = images.current()
        manifest = store.images().get(like)
        if manifest is None:
            raise DevClusterError(f"publish {name}", f"there is no image {like}", hint="`devcluster images` lists them")
        oci.publish(store, manifest, name, registry.folder(self.files))

    def unpublish(self, name: str) -> bool:
        """Take a name away from the cluster's registry; False if it had none."""
        return oci.unpublish(name, registry.folder(self.files))

    def until(self, what: str, missing: Callable[[], str | None], *, timeout: float) -> None:
        """Wait until `missing` returns None; what it returned last is in the error."""
        processes.until(what, missing, timeout=timeout)
