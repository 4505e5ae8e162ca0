"""A node of a cloud: set up by a cloud-controller-manager, whose part the test plays, beside a genuine node's."""

import json
from typing import Any

from devcluster import layout
from devcluster.api import Cluster
from tests.e2e import kube as k
from tests.e2e.kube import Kube
from tests.e2e.lab import added

PROVIDED_IP = "alpha.kubernetes.io/provided-node-ip"
UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"
OF_THE_CLOUD = [
    {"type": "InternalIP", "address": "198.18.7.7"},
    {"type": "ExternalIP", "address": "198.19.7.7"},
    {"type": "Hostname", "address": "cloudy"},
]


def test_a_cloud_sets_a_new_node_up(lab: Cluster, cluster: Kube) -> None:
    assert _seen(lab, cluster, "n5") == _seen(lab, cluster, "n6=genuine-kubelet-only")


def _seen(lab: Cluster, cluster: Kube, member: str) -> dict[str, Any]:
    """What the node says of itself when it is new, and when the cloud has spoken; its own name and address masked."""
    with added(lab.name, member) as node:
        name = node.name
        node.stop("kubelet")
        cluster.run("delete", "node", name)
        node.files.outside(layout.KUBELET_ARGUMENTS).write_text("--cloud-provider=external\n")
        node.start("kubelet", wait=False)
        k.wait_for(lambda: k.is_ready(cluster.get("node", name)), f"node {name} to be Ready")
        new = _outline(cluster, name)
        pods = cluster.get("node", name)["status"]["capacity"]["pods"]
        change = [
            {"op": "replace", "path": "/status/addresses", "value": OF_THE_CLOUD},
            # What nobody but the kubelet may say: when it has put this right, it has written the whole status.
            {"op": "replace", "path": "/status/capacity/pods", "value": "7"},
        ]
        cluster.run("patch", "node", name, "--subresource=status", "--type=json", f"--patch={json.dumps(change)}")
        cluster.run("taint", "node", name, f"{UNINITIALIZED}-")
        k.wait_for(
            lambda: cluster.get("node", name)["status"]["capacity"]["pods"] == pods,
            f"{name} to say how it is",
            seconds=90,
        )
        return {"new": new, "set up": _outline(cluster, name)}


def _outline(cluster: Kube, name: str) -> dict[str, Any]:
    node = cluster.get("node", name)
    address = node["metadata"]["annotations"].get(PROVIDED_IP, "")
    masked = json.dumps(node["status"]["addresses"]).replace(name, "NAME").replace(address or "none", "ADDRESS")
    taints = [taint for taint in node["spec"].get("taints", ()) if "cloudprovider" in taint["key"]]
    return {"addresses": json.loads(masked), "taints": taints, "provided": bool(address)}
