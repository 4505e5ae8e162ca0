"""One node: its namespaces, containerd, agents, readiness and removal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from devcluster import agents, cgroups, containerd, kube, layout, mounts, netns, processes
from devcluster.layout import Layout
from devcluster.spec import Agent, ClusterSpec, NodeSpec


def prepare(cluster: Layout, spec: ClusterSpec, node: NodeSpec, *, binaries: Mapping[str, Path]) -> None:
    """Everything below the agents: namespaces, cgroups, files, and a containerd that answers."""
    netns.make_node(cluster, spec, node)
    link_binaries(cluster.node(node.name).outside(layout.NODE_BIN), binaries)
    containerd.configure(cluster, spec, node)
    agents.configure(cluster, spec, node)
    mounts.make(cluster, node.name, binaries.values())
    containerd.start(cluster, node)


def link_binaries(folder: Path, binaries: Mapping[str, Path]) -> None:
    """One folder with a link to each binary, wherever each came from."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in binaries.items():
        link = folder / name
        if not (link.is_symlink() and link.readlink() == target):
            link.unlink(missing_ok=True)
            link.symlink_to(target)


def start_agents(cluster: Layout, spec: ClusterSpec, node: NodeSpec, api: kube.Client) -> None:
    """Start both. The proxy comes when the Node has its Pod CIDR: the genuine one ends itself if that changes."""
    kubelet = agents.start(cluster, spec, node, agents.KUBELET)
    if kubelet.argv:
        processes.wait(kubelet, lambda: _not_registered(api, node.name), timeout=60)
        _set_pod_cidrs(api, spec, node)
    agents.start(cluster, spec, node, agents.PROXY)


def wait_ready(cluster: Layout, spec: ClusterSpec, node: NodeSpec, api: kube.Client) -> None:
    """Until the kubelet is healthy with its Node Ready, and the proxy in sync; whichever of them the node has."""
    kubelet = agents.program(cluster, spec, node, agents.KUBELET)
    proxy = agents.program(cluster, spec, node, agents.PROXY)
    if kubelet.argv:
        processes.wait(
            kubelet,
            lambda: agents.unhealthy(cluster, spec, node, agents.KUBELET) or _not_ready(api, node.name),
            timeout=120,
        )
    if proxy.argv:
        processes.wait(proxy, lambda: agents.unhealthy(cluster, spec, node, agents.PROXY), timeout=60)


def _not_registered(api: kube.Client, name: str) -> str | None:
    try:
        return None if api.find(f"/api/v1/nodes/{name}") else "it has not registered its Node"
    except (OSError, kube.ApiError) as error:
        return f"the API server: {error}"


def _not_ready(api: kube.Client, name: str) -> str | None:
    try:
        found = api.find(f"/api/v1/nodes/{name}")
    except (OSError, kube.ApiError) as error:
        return f"the API server: {error}"
    if found is None:
        return "it has not registered its Node"
    for condition in found.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready":
            return (
                None if condition["status"] == "True" else f"Ready is {condition['status']}: {condition.get('message')}"
            )
    return "its Node has no Ready condition"


def _set_pod_cidrs(api: kube.Client, spec: ClusterSpec, node: NodeSpec) -> None:
    """Say on the Node which addresses its CNI gives out; the API takes it once."""
    found = api.get(f"/api/v1/nodes/{node.name}")
    if not found["spec"].get("podCIDR"):
        cidrs = [plan.node_pods(node.index) for plan in spec.nets]
        body = {"spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs}}
        api.request("PATCH", f"/api/v1/nodes/{node.name}", body, content="application/merge-patch+json")


def stop(cluster: Layout, name: str) -> None:
    """End all that runs on a node, containers included, and take its namespaces and cgroups away."""
    for role in (*agents.ROLES, containerd.NAME):
        processes.stop(cluster.pids / f"{name}-{role}", grace=3)
    cgroups.kill(cluster.cgroup(name))
    cgroups.remove(cluster.cgroup(name))
    mounts.remove(cluster, name)
    netns.remove(cluster, name)


def has_agents(node: NodeSpec) -> bool:
    return (node.kubelet, node.proxy) != (Agent.NONE, Agent.NONE)
