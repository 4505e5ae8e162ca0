"""The main job: a Deployment of three behind a Service, called by name from Pods and by address from a node."""

from __future__ import annotations

import http.client
from collections import Counter
from dataclasses import dataclass
from typing import Any

from devcluster import kube, netns, processes, recipes, shell
from devcluster.errors import DevClusterError
from devcluster.layout import Layout
from devcluster.spec import DOMAIN, Agent, ClusterSpec, NodeSpec, url_host

NAMESPACE = "hello"
REPLICAS = 3
_PORT = 8080
_CALLS = 12
_SETTLE = 20  # seconds for all replicas to answer: proxies learn of them after the Deployment is available
_NAME = f"hello.{NAMESPACE}.svc.{DOMAIN}"


@dataclass(frozen=True, slots=True)
class Answers:
    """Who answered how often, for one way of calling."""

    way: str
    pods: Counter[str]

    def __str__(self) -> str:
        who = ", ".join(f"{pod} {count}x" for pod, count in sorted(self.pods.items()))
        return f"{self.way}: {who}"


def apply(api: kube.Client, spec: ClusterSpec) -> None:
    """The namespace, the Deployment, the Service, and one caller Pod for each node with both agents."""
    api.apply(f"/api/v1/namespaces/{NAMESPACE}", _object("v1", "Namespace", NAMESPACE, namespaced=False))
    labels = {"app": "hello"}
    server = {
        "name": "hello",
        "image": recipes.AGNHOST,
        "args": ["netexec", f"--http-port={_PORT}"],
        "ports": [{"containerPort": _PORT}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": _PORT}, "periodSeconds": 1},
    }
    deployment = _object("apps/v1", "Deployment", "hello")
    deployment["spec"] = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [server], "terminationGracePeriodSeconds": 1},
        },
    }
    api.apply(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/hello", deployment)
    service = _object("v1", "Service", "hello")
    service["spec"] = {
        "type": "NodePort",
        "selector": labels,
        "ports": [{"port": 80, "targetPort": _PORT, "protocol": "TCP"}],
    }
    api.apply(f"/api/v1/namespaces/{NAMESPACE}/services/hello", service)
    account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
    processes.until("the namespace's service account", lambda: None if api.find(account) else "not made", timeout=30)
    for node in _callers(spec):
        pod = _object("v1", "Pod", f"caller-{node.name}")
        caller = {"name": "caller", "image": recipes.AGNHOST, "args": ["pause"]}
        pod["spec"] = {"nodeName": node.name, "containers": [caller], "terminationGracePeriodSeconds": 0}
        api.apply(f"/api/v1/namespaces/{NAMESPACE}/pods/caller-{node.name}", pod)


def wait(api: kube.Client, spec: ClusterSpec, *, timeout: float = 120) -> None:
    """Until the Deployment is available and the callers run; the error says what each late Pod lacks."""

    def missing() -> str | None:
        try:
            found = api.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/hello")
            pods = api.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
        except (OSError, kube.ApiError) as error:
            return str(error)
        wanted = {f"caller-{node.name}" for node in _callers(spec)}
        running = {pod["metadata"]["name"] for pod in pods if _is_ready(pod)}
        status = found.get("status", {})
        current = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
        if current and status.get("availableReplicas", 0) >= REPLICAS and wanted <= running:
            return None
        late = [describe(pod) for pod in pods if not _is_ready(pod)]
        return "; ".join(late) or "its Pods are not made yet"

    processes.until("the hello Pods", missing, timeout=timeout)


def call(cluster: Layout, api: kube.Client, spec: ClusterSpec) -> list[Answers]:
    """Call the Service in every way; DevClusterError if one gets no answer."""
    service = api.get(f"/api/v1/namespaces/{NAMESPACE}/services/hello")["spec"]
    node_port = service["ports"][0]["nodePort"]
    answers = [_from_pod(cluster, f"caller-{node.name}") for node in _callers(spec)]
    for node in spec.nodes:
        if node.proxy is Agent.NONE:
            continue
        answers.append(_from_node(cluster, node, service["clusterIP"], 80, f"node {node.name} -> ClusterIP"))
        answers.append(
            _from_node(cluster, node, spec.primary.node(node.index), node_port, f"node {node.name} -> NodePort")
        )
    return answers


def describe(pod: dict[str, Any]) -> str:
    """One late Pod in a few words: node, phase, and why its containers wait."""
    status = pod.get("status", {})
    reasons = [
        f"{container['name']} {state.get('reason', '')} {state.get('message', '')}".strip()
        for container in status.get("containerStatuses", ())
        for kind, state in container.get("state", {}).items()
        if kind != "running"
    ]
    where = pod["spec"].get("nodeName", "no node")
    return f"{pod['metadata']['name']} on {where} {status.get('phase', '?')} {', '.join(reasons)}".strip()


def _callers(spec: ClusterSpec) -> list[NodeSpec]:
    return [node for node in spec.nodes if node.kubelet is not Agent.NONE and node.proxy is not Agent.NONE]


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)


def _from_pod(cluster: Layout, pod: str) -> Answers:
    calls = f"for i in $(seq {_CALLS}); do curl -sS --max-time 5 http://{_NAME}/hostname; echo; done"
    enough = f"[ $( ({calls}) 2>/dev/null | sort -u | wc -w) -ge {REPLICAS} ]"
    script = f"for try in $(seq {_SETTLE}); do {enough} && break; sleep 1; done; {calls}"
    title = f"{pod} -> http://{_NAME}"
    out = shell.run(title, [cluster.kubectl, "-n", NAMESPACE, "exec", pod, "--", "sh", "-c", script], timeout=90)
    return _answers(title, out.split())


def _from_node(cluster: Layout, node: NodeSpec, host: str, port: int, way: str) -> Answers:
    title = f"{way} {url_host(host)}:{port}"
    space = cluster.netns(node.name)

    def unanswered() -> str | None:
        try:
            seen = {_get(space, host, port) for _ in range(_CALLS)}
        except (OSError, http.client.HTTPException) as error:
            return str(error)
        return None if len(seen) >= REPLICAS else f"only {', '.join(sorted(seen))} answered"

    processes.until(title, unanswered, timeout=_SETTLE, every=0.5)
    try:
        return _answers(title, [_get(space, host, port) for _ in range(_CALLS)])
    except (OSError, http.client.HTTPException) as error:
        raise DevClusterError(title, str(error), hint=f"`make logs ARGS={node.name}`") from error


def _get(space: str, host: str, port: int) -> str:
    """The answering Pod's name."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.sock = netns.connect(space, (host, port), 5)
        connection.request("GET", "/hostname")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _answers(way: str, names: list[str]) -> Answers:
    strangers = [name for name in names if not name.startswith("hello-")]
    if strangers or len(names) < _CALLS:
        raise DevClusterError(
            way, f"{len(names)} of {_CALLS} calls answered, with {strangers[:3] or 'names as expected'}"
        )
    return Answers(way, Counter(names))


def _object(version: str, kind: str, name: str, *, namespaced: bool = True) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE} if namespaced else {"name": name}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
