"""What a node tells of itself, field by field beside a genuine one; what it uses; whom it ends for using too much."""

import json
from typing import Any

from tests.e2e import kube as k
from tests.e2e.kube import Kube, Manifest

# What differs between any two machines, times, and the version, by which our nodes are told from others.
_OWN = {"name", "uid", "resourceVersion", "creationTimestamp", "managedFields", "podCIDR", "podCIDRs", "address"}
_OWN |= {"lastHeartbeatTime", "lastTransitionTime", "kubernetes.io/hostname", "images", "kubeletVersion"}
_OWN |= {"machineID", "systemUUID", "bootID", "taints", "volumesInUse", "volumesAttached", "providerID"}
# Those of a control plane, where that is what the genuine node is.
_OWN |= {"node-role.kubernetes.io/control-plane", "node.kubernetes.io/exclude-from-external-load-balancers"}
# A feature a node does not have is rightly not declared: here only what is declared must be known to the genuine one.
_OWN |= {"declaredFeatures"}


def shared(value: Any) -> Any:
    """A JSON value without what is the machine's own."""
    if isinstance(value, dict):
        return {key: shared(item) for key, item in value.items() if key not in _OWN}
    return [shared(item) for item in value] if isinstance(value, list) else value


def raw(cluster: Kube, node: Manifest, path: str) -> str:
    return cluster.run("get", "--raw", f"/api/v1/nodes/{node['metadata']['name']}/proxy/{path}")


def test_a_node_reads_like_a_genuine_one(cluster: Kube, ours: Manifest, genuine: str) -> None:
    stock = cluster.get("node", genuine)
    assert shared(ours) == shared(stock)
    assert set(ours["status"].get("declaredFeatures", [])) <= set(stock["status"].get("declaredFeatures", []))


def test_a_node_has_what_belongs_to_it(cluster: Kube, ours: Manifest) -> None:
    name, uid = ours["metadata"]["name"], ours["metadata"]["uid"]
    lease = json.loads(cluster.run("get", "lease", name, "-n", "kube-node-lease", "-o", "json"))
    assert lease["spec"]["holderIdentity"] == name
    for owned in (lease, cluster.get("csinode", name)):
        assert [owner["uid"] for owner in owned["metadata"]["ownerReferences"]] == [uid]


def test_what_a_pod_uses_is_told(kube: Kube, ours: Manifest) -> None:
    kube.apply(k.pod("busy", k.shell("a", "while true; do :; done"), nodeName=ours["metadata"]["name"]))
    kube.wait_ready("busy")

    def told() -> Manifest | None:
        summary = json.loads(raw(kube, ours, "stats/summary"))
        mine = [one for one in summary["pods"] if one["podRef"]["namespace"] == kube.namespace]
        return mine[0] if mine and mine[0]["containers"][0]["cpu"].get("usageNanoCores", 0) > 10**7 else None

    pod = k.wait_for(told, "the busy container's use of CPU", seconds=60)
    assert pod["containers"][0]["memory"]["workingSetBytes"] > 0
    assert pod["ephemeral-storage"]["usedBytes"] > 0
    labels = f'{{container="a",namespace="{kube.namespace}",pod="busy"}}'
    resource = raw(kube, ours, "metrics/resource")
    for name in ("container_cpu_usage_seconds_total", "container_memory_working_set_bytes"):
        assert f"{name}{labels}" in resource
    assert "machine_cpu_cores{" in raw(kube, ours, "metrics/cadvisor")
    assert f'kubelet_node_name{{node="{ours["metadata"]["name"]}"}} 1' in raw(kube, ours, "metrics")


def test_who_writes_more_than_allowed_is_evicted(kube: Kube, ours: Manifest) -> None:
    write = k.shell("a", "dd if=/dev/zero of=/d/x bs=1M count=20; sleep 1000")
    write["volumeMounts"] = [{"name": "d", "mountPath": "/d"}]
    scratch = {"name": "d", "emptyDir": {"sizeLimit": "10Mi"}}
    kube.apply(k.pod("greedy", write, volumes=[scratch], nodeName=ours["metadata"]["name"]))
    pod = kube.wait_phase("greedy", "Failed", seconds=120)
    assert pod["status"]["reason"] == "Evicted"
    assert pod["status"]["message"] == 'Usage of EmptyDir volume "d" exceeds the limit "10Mi". '
    conditions = {c["type"]: (c["status"], c.get("reason")) for c in pod["status"]["conditions"]}
    assert conditions["DisruptionTarget"] == ("True", "TerminationByKubelet")
    assert "Evicted" in {event["reason"] for event in kube.events("greedy")}


def test_a_pod_with_an_unsafe_sysctl_is_refused_as_on_a_genuine_node(kube: Kube, ours: Manifest, genuine: str) -> None:
    """A safe one is set."""
    names = [ours["metadata"]["name"], genuine]
    for word, sysctl in (("unsafe", "kernel.msgmax"), ("safe", "net.ipv4.ip_unprivileged_port_start")):
        asked = {"sysctls": [{"name": sysctl, "value": "80"}]}
        kube.apply(
            *(
                k.pod(f"{word}-{name}", k.container("c", image=k.PAUSE), nodeName=name, securityContext=asked)
                for name in names
            )
        )
    refused = [kube.wait_phase(f"unsafe-{name}", "Failed")["status"] for name in names]
    assert {(status["reason"], status["message"]) for status in refused} == {
        ("SysctlForbidden", 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted')
    }
    for name in names:
        kube.wait_ready(f"safe-{name}")


def test_a_pod_that_wants_apparmor_fares_as_on_a_genuine_node(kube: Kube, ours: Manifest, genuine: str) -> None:
    """On a machine without AppArmor it is refused; with it, it runs."""
    names = [ours["metadata"]["name"], genuine]
    kinds = ("RuntimeDefault", "Unconfined")
    for kind in kinds:
        profile = {"appArmorProfile": {"type": kind}}
        kube.apply(
            *(
                k.pod(f"{kind.lower()}-{name}", k.container("c", image=k.PAUSE), nodeName=name, securityContext=profile)
                for name in names
            )
        )
    for kind in kinds:

        def fate(name: str, kind: str = kind) -> tuple[str, str, str] | None:
            status = kube.get("pod", f"{kind.lower()}-{name}")["status"]
            found = (status["phase"], status.get("reason", ""), status.get("message", ""))
            return None if found[0] == "Pending" else found

        ran = [k.wait_for(lambda name=name: fate(name), f"a Pod with {kind} on {name}") for name in names]
        assert ran[0] == ran[1]
