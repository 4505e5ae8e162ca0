"""Pods of ours read like those of a genuine node in the same cluster, field by field, and so does `describe node`.

What may differ is listed here with its reason; anything else fails the test. The list is the answer to "what still
differs".
"""

import contextlib
import re
from typing import Any

import pytest

from tests.e2e import kube as k
from tests.e2e.kube import Kube, Manifest

MAY_DIFFER = {
    r"\.metadata\.(uid|resourceVersion|creationTimestamp|managedFields|generateName)": "each object's own",
    r".*(Time|Timestamp|At)$": "when it happened",
    r".*\.(podIP|podIPs|podCIDR|podCIDRs|hostIP|hostIPs|addresses|containerID|bootID)\b.*": "each node's or Pod's own",
    r"\.status\.(resources|allocatedResources)\b.*": "the genuine one reads the cgroup back (no limit: 2^63); "
    "ours states them for Pods that ask for resources as a whole",
    r"\.spec\.volumes\[\d+\]\.name|.*\.volumeMounts\[\d+\]\.name": "the API server draws the token volume's name",
}


def _flat(value: Any, path: str = "", *, name: str) -> dict[str, Any]:
    """`{".status.phase": "Running", ...}`; lists of named things by name, so that order alone is no difference.

    The node's name is NODE wherever it stands, and its end of a connection is HERE.
    """
    if isinstance(value, dict):
        return {p: v for key, inner in value.items() for p, v in _flat(inner, f"{path}.{key}", name=name).items()}
    if isinstance(value, list):
        found = {}
        for number, inner in enumerate(value):
            word = inner.get("type") or inner.get("name") if isinstance(inner, dict) else None
            key = word if word and "kube-api-access" not in word else number
            found |= _flat(inner, f"{path}[{key}]", name=name)
        return found
    if isinstance(value, str):
        value = re.sub(r"\S+:\d+->", "HERE->", re.sub(rf"\b{re.escape(name)}\b", "NODE", value))
    return {path: value}


def _differences(ours: Manifest, theirs: Manifest) -> list[str]:
    """Every path whose value is not the same, but for those that may differ; names of the two nodes count as equal."""
    a, b = (_flat(x, name=x["spec"]["nodeName"]) for x in (ours, theirs))
    return [
        f"{path}: ours {a.get(path, '(absent)')!r}, genuine {b.get(path, '(absent)')!r}"
        for path in sorted(a.keys() | b.keys())
        if a.get(path) != b.get(path) and not any(re.fullmatch(rule, path) for rule in MAY_DIFFER)
    ]


def test_describe_node_has_the_same_lines(cluster: Kube, ours: Manifest, genuine: str) -> None:
    """The headings and fields of `kubectl describe node`, without values, Pods and events."""

    def outline(name: str) -> list[str]:
        text = cluster.run("describe", "node", name).split("Non-terminated Pods:")[0]
        return [re.split(r":|  +", line.strip())[0] for line in text.splitlines() if line.strip()]

    lease = ("get", "lease", genuine, "-n", "kube-node-lease")
    k.wait_for(lambda: cluster.run(*lease), "the genuine kubelet's Lease, which it makes some seconds after the Node")
    mine, theirs = outline(ours["metadata"]["name"]), outline(genuine)
    assert [line for line in mine if "=" not in line] == [line for line in theirs if "=" not in line]


PODS = {
    "running": k.shell("c", "sleep 3600", resources={"requests": {"cpu": "10m"}, "limits": {"memory": "32Mi"}}),
    "failed": k.shell("c", "echo bye > /dev/termination-log; exit 3"),
    "no-image": k.container("c", image="registry.k8s.io/nobody-has-this:1"),
    "no-config": k.shell("c", "true", envFrom=[{"configMapRef": {"name": "nowhere"}}]),
}


@pytest.mark.parametrize("kind", PODS)
def test_a_pod_reads_like_one_of_a_genuine_node(kube: Kube, ours: Manifest, genuine: str, kind: str) -> None:
    mine = ours["metadata"]["name"]
    names = {node: f"{kind}-{node}" for node in (mine, genuine)}
    policy = "Never" if kind == "failed" else "Always"
    kube.apply(*(k.pod(names[node], PODS[kind], nodeName=node, restartPolicy=policy) for node in names))

    def settled(name: str) -> dict[str, Any] | None:
        pod = kube.get("pod", name)
        state = k.container_status(pod)["state"]
        reason = state.get("waiting", {}).get("reason", "")
        expected = {
            "running": "running" in state,
            "failed": pod["status"]["phase"] == "Failed",
            "no-image": reason == "ImagePullBackOff",
            "no-config": reason == "CreateContainerConfigError",
        }
        return pod if expected[kind] else None

    for name in names.values():
        k.wait_for(lambda name=name: settled(name), f"Pod {name} to settle")

    def differences() -> list[str]:
        pods = [kube.get("pod", name) for name in names.values()]
        for pod in pods:
            # kubectl apply's own note holds the node's name inside a string of JSON.
            pod["metadata"]["annotations"] = {}
        return _differences(*pods)

    # A last word, such as that the sandbox has been stopped, may come a moment later on one of them.
    with contextlib.suppress(AssertionError):
        k.wait_for(lambda: not differences(), "both Pods to read alike", seconds=20)
    assert differences() == []

    def said(name: str) -> set[tuple[str, str, str]]:
        found = {(e["type"], e["reason"], e["source"].get("component", "")) for e in kube.events(name)}
        # Whether an image must be pulled depends on what ran on the node before.
        return {event for event in found if event[1] != "Pulling"} if kind != "no-image" else found

    with contextlib.suppress(AssertionError):
        k.wait_for(lambda: said(names[mine]) == said(names[genuine]), "the same events of both Pods", seconds=30)
    assert said(names[mine]) == said(names[genuine])
