"""A node's kubelet and kube-proxy, ours or genuine: the same files and the same command line for either."""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from typing import Any

from devcluster import files, identities, layout, mounts, netns, processes, shell
from devcluster.errors import DevClusterError
from devcluster.layout import Layout
from devcluster.spec import DOMAIN, Agent, ClusterSpec, NodeSpec

KUBELET = "kubelet"
PROXY = "proxy"
ROLES = (KUBELET, PROXY)
_KUBELET_HEALTH_PORT = 10248
_PROXY_HEALTH_PORT = 10256


def kubelet_config(cluster: Layout, spec: ClusterSpec, node: NodeSpec) -> dict[str, Any]:
    """The KubeletConfiguration (v1beta1) of a node."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "::" if spec.family.v6 else "0.0.0.0",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.CLIENT_CA)},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cluster.cgroup(node.name),
        "failCgroupV1": False,
        "clusterDNS": [plan.dns for plan in spec.nets],
        "clusterDomain": DOMAIN,
        "containerRuntimeEndpoint": f"unix://{layout.CONTAINERD_SOCKET}",
        "enableSystemLogHandler": True,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "failSwapOn": False,
        # The disk is the machine's: how full it is shall not decide which images a node keeps.
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
        "maxPods": 250,
        "resolvConf": "/dev/null",  # the machine's own would name a server that no Pod can reach
        "serializeImagePulls": False,
        "staticPodPath": str(layout.STATIC_PODS),
        "volumePluginDir": str(layout.NODE_LIB / "volume-plugins"),
    }


def proxy_config(spec: ClusterSpec, node: NodeSpec) -> dict[str, Any]:
    """The KubeProxyConfiguration (v1alpha1) of a node."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(layout.PROXY_KUBECONFIG)},
        "mode": spec.proxy_mode.value,
        "clusterCIDR": ",".join(plan.pods for plan in spec.nets),
        "hostnameOverride": node.name,
        "conntrack": {"maxPerCore": 0},
        "healthzBindAddress": f"{'[::]' if spec.family.v6 else '0.0.0.0'}:{_PROXY_HEALTH_PORT}",
        "metricsBindAddress": "127.0.0.1:10249",
    }


def configure(cluster: Layout, spec: ClusterSpec, node: NodeSpec) -> None:
    """Write both agents' configurations and credentials where kubeadm puts them. JSON is YAML."""
    node_files = cluster.node(node.name)
    contents = {
        layout.KUBELET_CONFIG: json.dumps(kubelet_config(cluster, spec, node), indent=1).encode(),
        layout.KUBELET_KUBECONFIG: identities.node(cluster, spec, node.name).read_bytes(),
        layout.PROXY_CONFIG: json.dumps(proxy_config(spec, node), indent=1).encode(),
        layout.PROXY_KUBECONFIG: identities.kubeconfig(cluster, "kube-proxy").read_bytes(),
        layout.CLIENT_CA: (cluster.pki / "ca.crt").read_bytes(),
    }
    for path, data in contents.items():
        files.write(node_files.outside(path), data, mode=0o600)
    node_files.outside(layout.STATIC_PODS).mkdir(parents=True, exist_ok=True)


def argv(spec: ClusterSpec, node: NodeSpec, role: str) -> list[str | Path]:
    """The command line of a node's agent; empty if it has none."""
    if role == KUBELET:
        if node.kubelet is Agent.NONE:
            return []
        return [
            _executable(node.kubelet, "pykubelet", "kubelet"),
            f"--config={layout.KUBELET_CONFIG}",
            f"--kubeconfig={layout.KUBELET_KUBECONFIG}",
            f"--bootstrap-kubeconfig={layout.KUBELET_BOOTSTRAP}",
            f"--root-dir={layout.KUBELET_ROOT}",
            f"--cert-dir={layout.KUBELET_CERTS}",
            f"--hostname-override={node.name}",
            f"--node-ip={','.join(plan.node(node.index) for plan in spec.nets)}",
            "--v=2",
        ]
    if node.proxy is Agent.NONE:
        return []
    return [_executable(node.proxy, "pyproxy", "kube-proxy"), f"--config={layout.PROXY_CONFIG}", "--v=2"]


def _executable(agent: Agent, ours: str, genuine: str) -> Path:
    if agent is Agent.GENUINE:
        return layout.NODE_BIN / genuine
    path = Path(sys.prefix) / "bin" / ours
    if not path.exists():
        raise DevClusterError(ours, f"{path} is not there", hint="`make venv` installs it")
    return path


def program(cluster: Layout, spec: ClusterSpec, node: NodeSpec, role: str) -> processes.Program:
    """A node's agent as a program; its argv is empty if the node has none."""
    kind = node.kubelet if role == KUBELET else node.proxy
    genuine = "kubelet" if role == KUBELET else "kube-proxy"
    title = f"py{role}" if kind is Agent.OURS else genuine
    command = argv(spec, node, role)
    more = cluster.node(node.name).outside(layout.KUBELET_ARGUMENTS)
    if command and role == KUBELET and more.exists():
        command += more.read_text().split()
    return processes.Program(
        name=f"{title} of {node.name}",
        argv=command,
        pidfile=cluster.pids / f"{node.name}-{role}",
        log=cluster.node(node.name).logs / f"{role}.log",
        netns=cluster.netns(node.name),
        mounts=mounts.path_of(cluster, node.name),
        cgroup=f"{cluster.cgroup(node.name)}/{role}",
        env={"PATH": f"{layout.NODE_BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )


def start(cluster: Layout, spec: ClusterSpec, node: NodeSpec, role: str) -> processes.Program:
    """Run the agent this node shall have: another kind that runs in its place is stopped first."""
    wanted = program(cluster, spec, node, role)
    former = processes.last(wanted.pidfile)
    if former is not None and former.argv[:1] != [str(wanted.argv[0]) if wanted.argv else None]:
        processes.stop(wanted.pidfile)
        if role == PROXY:
            _forget_rules(cluster, node)
    if wanted.argv:
        processes.start(wanted)
    return wanted


def _forget_rules(cluster: Layout, node: NodeSpec) -> None:
    """Delete what a proxy of another kind left in the node's network: its Services would be answered twice."""
    shell.run(
        f"rules of the former proxy of {node.name}",
        [*netns.enter(cluster.netns(node.name)), _executable(Agent.OURS, "pyproxy", "kube-proxy"), "--cleanup"],
    )


def unhealthy(cluster: Layout, spec: ClusterSpec, node: NodeSpec, role: str) -> str | None:
    """None if a node's agent says on its /healthz that all is well (a proxy: that it is in sync), else why not."""
    host, port = ("127.0.0.1", _KUBELET_HEALTH_PORT) if role == KUBELET else (_address(spec, node), _PROXY_HEALTH_PORT)
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.sock = netns.connect(cluster.netns(node.name), (host, port), 2)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f":{port}/healthz: {error}"
    finally:
        connection.close()
    return None if status == 200 else f":{port}/healthz answers {status}"


def _address(spec: ClusterSpec, node: NodeSpec) -> str:
    return spec.primary.node(node.index)
