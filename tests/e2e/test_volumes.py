"""Volumes of every real cluster beyond conformance: local and generic ephemeral ones, changes in time, no way out."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import layout
from devcluster.api import Cluster, Node
from tests.e2e import kube as k
from tests.e2e.kube import Kube, Manifest

NODE = "n1"
WAIT = "while :; do sleep 0.1; done"
SOON = 1.0
"""Seconds within which a change must show; a genuine kubelet takes 60 to 90."""


@pytest.fixture
def node(lab: Cluster) -> Node:
    return lab.node(NODE)


@pytest.fixture
def folder(node: Node) -> Iterator[str]:
    """A folder of the node's."""
    path = f"/var/lib/e2e-{uuid.uuid4().hex[:8]}"
    node.exec("mkdir", path)
    yield path
    node.exec("sh", "-c", f"umount {path}/* 2>/dev/null; rm -rf {path}")


def local_volume(name: str, path: str) -> Manifest:
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Mi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
        },
    }


def claim(name: str) -> Manifest:
    resources = {"requests": {"storage": "1Mi"}}
    return {"accessModes": ["ReadWriteOnce"], "storageClassName": name, "resources": resources}


def test_a_local_volume_serves_a_claim_and_a_generic_ephemeral_volume(
    kube: Kube, cluster: Kube, node: Node, folder: str
) -> None:
    names = [f"{kube.namespace}-{part}" for part in ("a", "b")]
    for name in names:
        node.exec("mkdir", f"{folder}/{name}")
    cluster.apply(*(local_volume(name, f"{folder}/{name}") for name in names))
    try:
        pvc = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "kept"},
            "spec": claim(names[0]),
        }
        volumes = [
            {"name": "a", "persistentVolumeClaim": {"claimName": "kept"}},
            {"name": "b", "ephemeral": {"volumeClaimTemplate": {"spec": claim(names[1])}}},
        ]
        mounts = [{"name": part, "mountPath": f"/{part}"} for part in "ab"]
        script = f"echo here > /a/x; echo here > /b/x; {WAIT}"
        kube.apply(pvc, k.pod("user", k.shell("c", script, volumeMounts=mounts), volumes=volumes, nodeName=NODE))
        kube.wait_ready("user")
        for name in names:
            k.wait_for(lambda name=name: node.exec("cat", f"{folder}/{name}/x") == "here\n", f"the file in {name}")
        assert kube.exists("pvc", "user-b")
        kube.delete("pod", "user")
        k.wait_for(lambda: not kube.exists("pvc", "user-b"), "the Pod's own claim to go with it")
        assert kube.exists("pvc", "kept")
    finally:
        for name in names:
            cluster.run("delete", "pv", name, "--wait=false", "--ignore-not-found")


def test_a_change_shows_in_volumes_within_a_second(kube: Kube, node: Node) -> None:
    kube.run("create", "configmap", "c", "--from-literal=key=old")
    kube.run("create", "secret", "generic", "s", "--from-literal=key=old")
    volumes = [{"name": "c", "configMap": {"name": "c"}}, {"name": "s", "secret": {"secretName": "s"}}]
    mounts = [{"name": part, "mountPath": f"/{part}"} for part in "cs"]
    kube.apply(k.pod("reader", k.shell("c", WAIT, volumeMounts=mounts), volumes=volumes, nodeName=NODE))
    uid = kube.wait_ready("reader")["metadata"]["uid"]
    # Read where the kubelet sees it: a Secret's volume is a mount of the node's alone.
    folder = Path(f"/proc/{node.pid('kubelet')}/root{layout.KUBELET_ROOT}/pods/{uid}/volumes")
    for kind, name, field in (("configmap", "c", "data"), ("secret", "s", "stringData")):
        path = folder / f"kubernetes.io~{kind}" / name / "key"
        assert path.read_text() == "old"
        took = []
        for word in ("newer", "newest", "new"):
            kube.run("patch", kind, name, "-p", json.dumps({field: {"key": word}}))
            told = time.monotonic()
            k.wait_for(lambda path=path, word=word: path.read_text() == word, f"{path} to change", every=0.02)
            took.append(time.monotonic() - told)
        # The best: a busy machine may be late by itself, but not each time.
        assert min(took) < SOON, took
    assert kube.exec("reader", "cat", "/c/key", "/s/key") == "newnew"


def test_a_link_that_a_container_plants_leads_no_sub_path_out_of_its_volume(kube: Kube, ours: Manifest) -> None:
    plant = k.shell("plant", "ln -s /etc /v/out; ln -s ../../.. /v/up; mkdir /v/in; ln -s in /v/fine")
    plant["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    for name, path in (("out", "out"), ("up", "up/etc"), ("fine", "in/deeper")):
        one = k.shell("c", f"ls /x; {WAIT}", volumeMounts=[{"name": "v", "mountPath": "/x", "subPath": path}])
        volume = {"name": "v", "emptyDir": {}}
        node = ours["metadata"]["name"]
        kube.apply(k.pod(name, one, initContainers=[plant], volumes=[volume], nodeName=node))
    for name in ("out", "up"):
        waiting = k.wait_for(
            lambda name=name: (
                found
                if (found := k.container_status(kube.get("pod", name))["state"].get("waiting", {})).get("reason")
                == "CreateContainerConfigError"
                else None
            ),
            f"Pod {name} to be refused its mount",
        )
        assert waiting["message"].startswith('failed to prepare subPath for volumeMount "v" of container "c"')
    kube.wait_ready("fine")
    assert kube.run("logs", "fine", "-c", "c") == ""


def test_a_recursive_read_only_mount_holds_for_what_is_mounted_inside(kube: Kube, node: Node, folder: str) -> None:
    node.exec("sh", "-ec", f"mkdir {folder}/sub; mount -t tmpfs tmpfs {folder}/sub")
    mounts = [
        {"name": "h", "mountPath": "/plain", "readOnly": True},
        {"name": "h", "mountPath": "/deep", "readOnly": True, "recursiveReadOnly": "Enabled"},
    ]
    one = k.shell("c", f"touch /plain/sub/x && echo plain; touch /deep/sub/y || echo deep; {WAIT}", volumeMounts=mounts)
    volume = {"name": "h", "hostPath": {"path": folder, "type": "Directory"}}
    kube.apply(k.pod("reader", one, volumes=[volume], nodeName=NODE))
    pod = kube.wait_ready("reader")
    k.wait_for(lambda: "deep" in kube.run("logs", "reader"), "the container to have tried both")
    # Which comes first is not told: one is output, the other a complaint.
    k.wait_for(lambda: "plain" in kube.run("logs", "reader").splitlines(), "the plain mount to have been written to")
    told = {m["mountPath"]: m.get("recursiveReadOnly") for m in k.container_status(pod)["volumeMounts"]}
    assert (told["/plain"], told["/deep"]) == ("Disabled", "Enabled")


def test_a_static_pod_follows_its_file(cluster: Kube, node: Node) -> None:
    name = f"static-{uuid.uuid4().hex[:6]}"
    mirror = f"{name}-{NODE}"
    file = node.files.outside(layout.STATIC_PODS) / f"{name}.json"

    def written(value: str) -> None:
        pod = k.pod(name, k.shell("c", WAIT, env=[{"name": "A", "value": value}]))
        part = file.with_suffix(".part")
        part.write_text(json.dumps(pod))
        part.rename(file)

    def shown() -> str:
        pod = cluster.get("pod", mirror)
        return pod["spec"]["containers"][0]["env"][0]["value"] if k.is_ready(pod) else ""

    written("1")
    try:
        k.wait_for(lambda: shown() == "1", "the static Pod's mirror")
        before = k.container_status(cluster.get("pod", mirror))["containerID"]
        written("2")
        k.wait_for(lambda: shown() == "2", "the mirror to follow the file")
        assert k.container_status(cluster.get("pod", mirror))["containerID"] != before
        # Deleting the mirror ends nothing: it is shown again.
        cluster.delete("pod", mirror, wait=False)
        k.wait_for(lambda: shown() == "2", "the mirror to be back")
    finally:
        file.unlink()
    k.wait_for(lambda: not cluster.exists("pod", mirror), "the mirror to go with the file")
