"""Show a cluster to a person: what runs, how the nodes are, the ends of the logs, and how to go on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from devcluster import agents, containerd, errors, identities, kube, netns, processes, spec, state
from devcluster.layout import Layout
from devcluster.spec import ClusterSpec

RESTARTABLE = (agents.KUBELET, agents.PROXY, containerd.NAME)


def show(cluster: Layout) -> int:
    """Print the cluster's programs and nodes; 0 if all of it runs, 3 if something doesn't."""
    wanted = state.need(cluster)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    healthy = _show_programs(cluster, console)
    try:
        nodes = identities.admin_client(cluster, wanted).get("/api/v1/nodes")["items"]
    except (OSError, kube.ApiError) as error:
        console.print(f"the API server doesn't answer: {error}")
        return 3
    healthy &= _show_nodes(wanted, {found["metadata"]["name"]: found for found in nodes}, console)
    return 0 if healthy else 3


def _show_programs(cluster: Layout, console: Console) -> bool:
    table = Table(title=f"cluster {cluster.name}", title_justify="left", box=None, pad_edge=False)
    for column in ("program", "state", "pid", "memory", "log"):
        table.add_column(column, justify="right" if column in ("pid", "memory") else "left")
    healthy = True
    for pidfile in state.programs(cluster):
        record = processes.find(pidfile)
        log = _log_of(cluster, pidfile.name)
        if record is None:
            healthy = False
            table.add_row(pidfile.name, "[red]ended[/]", "", "", str(log))
        else:
            table.add_row(pidfile.name, "runs", str(record.pid), f"{_rss(record.pid)} MiB", str(log))
    console.print(table)
    return healthy


def _show_nodes(wanted: ClusterSpec, nodes: dict[str, dict[str, Any]], console: Console) -> bool:
    table = Table(box=None, pad_edge=False)
    for column in ("node", "agents", "address", "Pods", "ready"):
        table.add_column(column)
    healthy = True
    for member in wanted.nodes:
        plan = wanted.primary
        verdict = _ready(nodes.get(member.name)) if member.kubelet is not spec.Agent.NONE else "no kubelet"
        healthy &= verdict in ("yes", "no kubelet")
        table.add_row(member.name, spec.kind_of(member), plan.node(member.index), plan.node_pods(member.index), verdict)
    console.print(table)
    return healthy


def _ready(found: dict[str, Any] | None) -> str:
    if found is None:
        return "[red]not registered[/]"
    for condition in found.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready":
            return (
                "yes"
                if condition["status"] == "True"
                else f"[red]{condition['status']}[/] {condition.get('message', '')}"
            )
    return "[red]no condition[/]"


def _rss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS:")), 0)


def _log_of(cluster: Layout, program: str) -> Path:
    node, _, role = program.partition("-")
    log = cluster.node(node).logs / f"{role}.log"
    return log if log.exists() else cluster.logs / f"{program}.log"


def logs(cluster: Layout, words: list[str]) -> list[Path]:
    """The logs whose path below the state folder contains every word; all for none."""
    found = [*cluster.logs.glob("*.log"), *cluster.root.glob("nodes/*/log/*.log")]
    return sorted(path for path in found if all(word in str(path.relative_to(cluster.root)) for word in words))


def show_logs(cluster: Layout, words: list[str], lines: int) -> None:
    """Print the end of each such log."""
    state.need(cluster)
    found = logs(cluster, words)
    if not found:
        raise errors.DevClusterError("logs", f"no log's name contains {' and '.join(words)}")
    for path in found:
        age = time.time() - path.stat().st_mtime
        print(f"==> {path} (last written {age:.0f} s ago)")
        print("\n".join(errors.tail(path, lines)))


def hints(cluster: Layout) -> str:
    """Shell lines with which a person goes on."""
    entered = f"nsenter --net={netns.path(cluster.netns(netns.CONTROL_PLANE))}"
    if os.environ.get("SUDO_USER"):
        return (
            f"alias kubectl='sudo {cluster.kubectl}'\n"
            f"# any other program: sudo KUBECONFIG={cluster.admin} {entered} -- PROGRAM"
        )
    return (
        f"export KUBECONFIG={cluster.admin}\nalias kubectl={cluster.kubectl}\n# any other program: {entered} -- PROGRAM"
    )
