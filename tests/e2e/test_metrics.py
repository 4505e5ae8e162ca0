"""What a node of ours measures has the names and labels of a genuine node's, and a genuine metrics-server lives on it.

What is missing is listed here, with its reason.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from devcluster import binaries, tools
from devcluster.api import Cluster
from devcluster.progress import Reporter
from tests.e2e import kube as k
from tests.e2e.kube import Kube, Manifest

OURS = "ours"
NOT_TOLD = "the runtime does not tell it, and no cgroup file has it as cadvisor counts it"
ONLY_V2 = "only cgroup v2 measures it: on v1 the genuine kubelet says 0"
DISKS = 'of the whole machine alone on cgroup v1 (id="/"), from /proc/diskstats'
MISSING = {
    r"cadvisor_version_info": "there is no cadvisor",
    r"container_fs_(io|reads|writes|read|write|sector)_.*": DISKS,
    r"container_health_state": "of Docker's health checks: always -1",
    r"container_memory_(events|file|pgscan|pgsteal|workingset).*": ONLY_V2,
    r"container_(cpu_cfs_burst|spec_memory_reservation|creation_time|ulimits).*": NOT_TOLD,
    r"machine_(cpu_books|cpu_drawers|nvm).*": "of mainframes and persistent memory: 0 on all other machines",
    r"process_start_time_seconds": "of the kubelet itself: at /metrics",
}
LEFT_OUT = {
    r"go_.*|process_(network|virtual_memory_max).*": "of Go's runtime, and of its client library",
    r"apiserver_.*|aggregator_.*|workqueue_.*": "of Go libraries that serve an API server, or its controllers",
    r"(cardinality_enforcement|disabled|hidden|registered)_.*": "of the library that keeps the genuine metrics",
    r"kubernetes_feature_enabled": "there are no feature gates but those that say how a node shows itself",
    r"rest_client_(rate_limiter|transport|exec_plugin|request_retries)_.*": "of client-go: no limiter, no such cache",
    r"dra_.*": "there is no dynamic resource allocation",
    r"kubelet_(cpu|memory|topology)_manager_.*|kubelet_memory_qos_.*": "there are no such managers, and no memory QoS",
    r"kubelet_imagemanager_inmemory_.*": "what is on disk of pulled images is all in memory: there is no cache of it",
    r"kubelet_pod_(infeasible|deferred)_.*": "a resize that waits is judged at each step, not by a queue of retries",
    r"kubelet_(podcertificate_states|credential_provider_config_info|cri_losing_support)": "not counted yet",
    r"volume_manager_selinux_.*": "there are no SELinux labels on mounts",
    r"kubelet_pleg_discard_events": "what is seen is kept as a state: no channel of events could be full",
    r"kubelet_pod_watch_events_dropped_total": "there is no API of Pods on the node",
    r"(reconstruct_volume|force_cleaned_failed_volume)_.*": "volumes are found by their folders, not reconstructed",
}
WHEN_IT_HAPPENS = {
    r"kubelet_(evictions|eviction_stats_age_seconds|preemptions|admission_rejections_total)": "a Pod is sent away",
    r"kubelet_(run_podsandbox_errors|started_containers_errors|runtime_operations_errors)_total": "something fails",
    r"kubelet_(terminated_containers|restarted_pods)_total": "a container ends, a Pod comes again",
    r"kubelet_(container_requested_resizes_total|pod_resize_duration_milliseconds|pod_pending_resizes)": "a resize",
    r"kubelet_(image_pull_duration_seconds|image_garbage_collected_total)": "an image comes or goes",
    r"kubelet_imagemanager_image_mustpull_checks_total": "an image that is there already is wanted again",
    r"kubelet_(credential_provider|device_plugin|pod_resources_endpoint)_.*|plugin_manager_.*|csi_.*": "of plugins",
    r"kubelet_(certificate_manager|server_expiration)_.*": "certificates are renewed",
    r"kubelet_(http|websocket)_.*|storage_operation_.*|volume_.*": "there are volumes, and somebody asks",
    r"kubelet_pod_start_(sli|total)_duration_seconds": "a Pod starts: there it is a vector, though without labels",
    r"kubelet_volume_stats_.*": "a genuine kubelet looks once a minute whether there are new Pods with claims",
    r"kubelet_metrics_provider": "a genuine kubelet's server sets it once: in vain, if that is before it is registered",
}
MISSING_IN_SUMMARY = {
    r"\.(pods|node\.systemContainers)\[\].*psi.*|.*\[\].*\.io\.time": ONLY_V2,
}


def families(text: str) -> dict[str, frozenset[str]]:
    """The names of the samples with the labels that all or some of them have."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in text.splitlines():
        if sample := re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ", line):
            found[sample[1]] |= set(re.findall(r'(\w+)="', sample[2] or ""))
    return {name: frozenset(labels) for name, labels in found.items()}


@dataclass(frozen=True)
class Shape:
    """What a family's samples look like: its type, their labels, the bounds of its buckets. No labels: no samples."""

    kind: str
    labels: frozenset[str] | None = None
    bounds: frozenset[float] = frozenset()


def shapes(text: str) -> dict[str, Shape]:
    """All families of a process's own metrics, also those of which nothing has happened yet."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    found = {name: Shape(kind) for name, kind in kinds.items()}
    for name, labels in families(text).items():
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        family = base if kinds.get(base) in ("histogram", "summary") else name
        bounds = re.findall(rf'^{name}{{.*\ble="([^"]+)".*}} ', text, re.M)
        before = found[family]
        found[family] = Shape(
            before.kind, (before.labels or frozenset()) | labels, before.bounds | frozenset(map(float, bounds))
        )
    return found


def paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{path}[]")
    else:
        yield path


def raw(cluster: Kube, node: str, path: str) -> str:
    return cluster.run("get", "--raw", f"/api/v1/nodes/{node}/proxy/{path}")


def claimed(name: str, node: str) -> tuple[Manifest, Manifest]:
    """A claim, and a folder of the node that it is bound to."""
    modes = {"accessModes": ["ReadWriteOnce"], "storageClassName": name}
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}}
    storage = {"storage": "1Mi"}
    volume = {"capacity": storage, "local": {"path": "/usr"}, "nodeAffinity": affinity}
    claim = {"resources": {"requests": storage}, "volumeName": name}
    return (
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": {**volume, **modes}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {**claim, **modes}},
    )


def busy(name: str, node: str) -> Manifest:
    """A container with limits, volumes and a probe, so that there is something to tell of each."""
    work = k.shell("c", "while :; do sleep 0.1; done", resources={"limits": {"memory": "64Mi", "cpu": "200m"}})
    work["livenessProbe"] = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    work["volumeMounts"] = [{"name": "e", "mountPath": "/e"}]
    kept = {"name": "c", "persistentVolumeClaim": {"claimName": name, "readOnly": True}}
    return k.pod(name, work, nodeName=node, volumes=[{"name": "e", "emptyDir": {}}, kept])


@pytest.fixture(scope="module")
def measured(cluster: Kube, ours: Manifest, genuine: str) -> Iterator[dict[str, dict[str, str]]]:
    """What both nodes say at each endpoint, with a Pod on each; by endpoint, then `OURS` or the genuine node's name."""
    endpoints = ("metrics", "metrics/resource", "metrics/cadvisor", "metrics/probes", "stats/summary")
    name = ours["metadata"]["name"]
    pods = {node: f"measured-{node}" for node in (name, genuine)}
    try:
        for node, pod in pods.items():
            cluster.apply(*claimed(pod, node), busy(pod, node))
        for node, pod in pods.items():
            cluster.wait_ready(pod)
            # cadvisor looks at a new container after up to 15 s, and takes another look for rates.
            k.wait_for(
                lambda node=node, pod=pod: (
                    f'pod="{pod}"' in raw(cluster, node, "metrics/resource")
                    and f'pod="{pod}"' in raw(cluster, node, "metrics/probes")
                    and "usageNanoCores" in raw(cluster, node, "stats/summary")
                    # A genuine kubelet tells of a container at once, and counts them at its look at all, once a second.
                    and 'container_state="running"' in raw(cluster, node, "metrics")
                ),
                f"{node} to have measured its Pod",
                seconds=90,
            )
        keys = {OURS: name, genuine: genuine}
        yield {path: {key: raw(cluster, node, path) for key, node in keys.items()} for path in endpoints}
    finally:
        for pod in pods.values():
            cluster.delete("pod", pod)
            for kind in ("pvc", "pv"):
                cluster.run("delete", kind, pod, "--wait=false", "--ignore-not-found")


@pytest.mark.parametrize("path", ["metrics/resource", "metrics/cadvisor", "metrics/probes"])
def test_metrics_have_the_names_and_labels_of_a_genuine_node(
    measured: dict[str, dict[str, str]], genuine: str, path: str
) -> None:
    ours, theirs = families(measured[path][OURS]), families(measured[path][genuine])
    missing = [name for name in theirs.keys() - ours.keys() if not any(re.fullmatch(rule, name) for rule in MISSING)]
    assert sorted(missing) == []
    assert sorted(ours.keys() - theirs.keys()) == []
    assert {name: labels for name, labels in ours.items() if labels != theirs[name]} == {}


def test_the_agents_own_metrics_are_those_of_a_genuine_kubelet(
    measured: dict[str, dict[str, str]], genuine: str
) -> None:
    ours, theirs = shapes(measured["metrics"][OURS]), shapes(measured["metrics"][genuine])
    missing = [name for name in theirs.keys() - ours.keys() if not any(re.fullmatch(r, name) for r in LEFT_OUT)]
    assert sorted(missing) == []
    # Go shows a family only once something has happened; ours are shown with their type before.
    told = {name for name, shape in ours.items() if shape.labels is not None}
    assert (
        sorted(name for name in told - theirs.keys() if not any(re.fullmatch(r, name) for r in WHEN_IT_HAPPENS)) == []
    )
    differ = {name: (ours[name], theirs[name]) for name in told & theirs.keys() if ours[name] != theirs[name]}
    assert differ == {}


def test_a_claims_volume_is_told_of(measured: dict[str, dict[str, str]], ours: Manifest) -> None:
    claim = f'namespace="default",persistentvolumeclaim="measured-{ours["metadata"]["name"]}"'
    found = re.findall(rf"^kubelet_volume_stats_(\w+)\{{{claim}\}} (\d+)$", measured["metrics"][OURS], re.M)
    told = {name: int(value) for name, value in found}
    assert told["capacity_bytes"] >= told["used_bytes"] + told["available_bytes"] > 0
    assert told["inodes"] == told["inodes_used"] + told["inodes_free"]


def test_the_summary_has_the_fields_of_a_genuine_nodes(measured: dict[str, dict[str, str]], genuine: str) -> None:
    ours, theirs = (set(paths(json.loads(measured["stats/summary"][node]))) for node in (OURS, genuine))
    missing = [p for p in theirs - ours if not any(re.fullmatch(rule, p) for rule in MISSING_IN_SUMMARY)]
    assert sorted(missing) == []
    # A genuine kubelet measures the volumes and processes of a new Pod within a minute.
    later = (".pods[].volume[]", ".pods[].process_stats")
    assert sorted(p for p in ours - theirs if not p.startswith(later)) == []


NAMESPACE = "kube-system"
SERVER = "metrics-server"


def account_and_rights(name: str) -> list[Manifest]:
    """What metrics-server's own manifest grants it."""
    me = {"kind": "ServiceAccount", "name": SERVER, "namespace": NAMESPACE}
    group = "rbac.authorization.k8s.io"

    def binding(kind: str, suffix: str, role: tuple[str, str]) -> Manifest:
        return {
            "apiVersion": f"{group}/v1",
            "kind": kind,
            "metadata": {"name": f"{name}:{suffix}", "namespace": NAMESPACE},
            "roleRef": {"apiGroup": group, "kind": role[0], "name": role[1]},
            "subjects": [me],
        }

    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": SERVER, "namespace": NAMESPACE}},
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": f"{name}:read"}, "rules": rules},
        binding("ClusterRoleBinding", "read", ("ClusterRole", f"{name}:read")),
        binding("ClusterRoleBinding", "auth", ("ClusterRole", "system:auth-delegator")),
        binding("RoleBinding", "reader", ("Role", "extension-apiserver-authentication-reader")),
    ]


@pytest.fixture(scope="module")
def metrics_server(lab: Cluster, ours: Manifest) -> Iterator[str]:
    """A genuine metrics-server as a Pod of ours, serving metrics.k8s.io; the binary lies on the node."""
    node = ours["metadata"]["name"]
    program = binaries.resolve(tools.TESTS, Reporter(quiet=True))[SERVER]
    system = Kube(NAMESPACE)
    server = k.container(
        SERVER,
        "/metrics-server",
        args=[
            "--cert-dir=/tmp",
            "--secure-port=4443",
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-insecure-tls",
            "--metric-resolution=10s",
            "--kubelet-request-timeout=9s",
        ],
        volumeMounts=[{"name": "program", "mountPath": "/metrics-server"}],
        readinessProbe={"httpGet": {"path": "/readyz", "port": 4443, "scheme": "HTTPS"}, "periodSeconds": 1},
    )
    volume = {"name": "program", "hostPath": {"path": str(program.resolve()), "type": "File"}}
    pod = k.pod(SERVER, server, serviceAccountName=SERVER, volumes=[volume], nodeName=node)
    service = k.service(SERVER, port=443, target=4443)
    registration = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": SERVER, "namespace": NAMESPACE},
        },
    }
    manifests = [*account_and_rights("e2e-metrics"), pod, service, registration]
    system.apply(*manifests)
    try:
        # It has to have asked every node twice, 10 s apart, before it is ready.
        system.wait_ready(SERVER, seconds=90)
        yield node
    finally:
        for made in reversed(manifests):
            system.run("delete", made["kind"], made["metadata"]["name"], "--wait=false", "--ignore-not-found")


def test_a_genuine_metrics_server_lives_on_our_nodes(cluster: Kube, metrics_server: str) -> None:
    def top(*what: str) -> dict[str, list[str]]:
        return {line.split()[0]: line.split()[1:] for line in cluster.run("top", *what, "--no-headers").splitlines()}

    nodes = k.wait_for(
        lambda: found if metrics_server in (found := top("nodes")) else None, "kubectl top node to have it", seconds=60
    )
    cpu, share, memory, _ = nodes[metrics_server]
    assert re.fullmatch(r"\d+m", cpu)
    assert re.fullmatch(r"\d+%", share)
    assert int(memory.removesuffix("Mi")) > 0
    pods = k.wait_for(lambda: top("pods", "-n", NAMESPACE), "kubectl top pod to have metrics-server itself", seconds=60)
    assert int(pods[SERVER][1].removesuffix("Mi")) > 5


def test_an_autoscaler_scales_by_what_our_nodes_measure(kube: Kube, metrics_server: str) -> None:
    serving = k.web_deployment("scaled", 1, nodeSelector={"kubernetes.io/hostname": metrics_server})
    serving["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"memory": "8Mi"}}
    target = {"type": "AverageValue", "averageValue": "1Mi"}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "scaled"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"},
            "minReplicas": 1,
            "maxReplicas": 2,
            "metrics": [{"type": "Resource", "resource": {"name": "memory", "target": target}}],
        },
    }
    kube.apply(serving, scaler)
    # The first metrics of a Pod come after two scrapes, and the autoscaler looks every 15 s.
    k.wait_for(lambda: kube.get("deployment", "scaled")["spec"]["replicas"] == 2, "the autoscaler", seconds=120)
    k.wait_for(lambda: len(kube.ready_pods("app=scaled")) == 2, "both Pods to be Ready")
