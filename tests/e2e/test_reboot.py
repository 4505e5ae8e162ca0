"""A node loses its power and comes back while no API server answers: its Pods run again, from what it last knew."""

import time
import uuid
from collections.abc import Iterator

import pytest

from devcluster.api import Cluster, Node
from tests.e2e import kube as k
from tests.e2e import lab as machines
from tests.e2e.kube import Kube, Manifest

FOLDER = f"/var/lib/node/e2e-reboot-{uuid.uuid4().hex[:8]}"
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


@pytest.fixture
def node(lab: Cluster) -> Iterator[Node]:
    node = lab.node("n1")
    node.exec("mkdir", "-p", FOLDER)
    yield node
    node.exec("rm", "-rf", FOLDER)


def _noting(name: str, then: str = "sleep 36000", **spec: object) -> Manifest:
    """A Pod that notes on the node's disk each time it starts, with what it was given."""
    note = f"echo $WORD $(cat /secret/word) $(tr -cd . < {TOKEN} | wc -c) $WEB_SERVICE_HOST >> /notes/{name}; {then}"
    main = k.shell("main", note, env=[{"name": "WORD", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "word"}}}])
    main["volumeMounts"] = [{"name": name, "mountPath": f"/{name}"} for name in ("notes", "secret")]
    volumes = [{"name": "notes", "hostPath": {"path": FOLDER}}, {"name": "secret", "secret": {"secretName": "s"}}]
    return k.pod(name, main, volumes=volumes, **spec)


def _notes(node: Node, name: str) -> list[str]:
    return node.exec("sh", "-c", f"cat {FOLDER}/{name} 2>/dev/null || true").splitlines()


def test_pods_run_again_without_an_api_server(kube: Kube, lab: Cluster, node: Node) -> None:
    kube.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"word": "config"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"word": "secret"}},
        k.service("web"),
    )
    kube.apply(
        _noting("goes-on", nodeName=node.name),
        _noting("crashes", "sleep 5; exit 1", nodeName=node.name),
        _noting("done", "exit 0", nodeName=node.name, restartPolicy="Never"),
        _noting("removed", nodeName=node.name),
    )
    for name in ("goes-on", "removed"):
        kube.wait_ready(name)
    kube.wait_phase("done", "Succeeded")
    before = kube.get("pod", "goes-on")
    word = f"config secret 2 {kube.get('service', 'web')['spec']['clusterIP']}"
    for name in ("goes-on", "removed"):  # they are Ready before their first line is written
        k.wait_for(lambda name=name: _notes(node, name) == [word], f"the note of Pod {name}")
    time.sleep(2)  # what was last known is written a second after it changed

    machines.power_off(node)
    kube.run("delete", "pod", "removed", "--force", "--grace-period=0", "--wait=false")
    crashed = len(_notes(node, "crashes"))
    with lab.without("kube-apiserver"):
        machines.power_on(node)
        k.wait_for(lambda: _notes(node, "goes-on") == [word, word], "Pod goes-on to run again", seconds=60)
        k.wait_for(lambda: _notes(node, "removed") == [word, word], "what was removed meanwhile to run again")
        k.wait_for(lambda: len(_notes(node, "crashes")) >= crashed + 2, "a container that crashes to be restarted")
        assert _notes(node, "done") == [word], "what was over stays so"
    first = k.container_status(before)["containerID"]
    k.wait_for(
        lambda: k.container_status(kube.get("pod", "goes-on"))["containerID"] != first, "the new one to be reported"
    )
    after = kube.wait_ready("goes-on")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert k.container_status(after)["restartCount"] == 1
    assert after["status"]["startTime"] == before["status"]["startTime"]
    assert kube.get("pod", "done")["status"]["phase"] == "Succeeded"
    assert set(_notes(node, "crashes")) == {word}
    k.wait_for(lambda: "removed" not in _running(node, kube.namespace), "what was removed meanwhile to be stopped")
    assert _notes(node, "goes-on") == [word, word], "the API server's return restarts nothing"


def _running(node: Node, namespace: str) -> set[str]:
    """The names of the Pods of a namespace whose folders of logs are there: they go with the Pod."""
    folders = node.files.pod_logs.glob(f"{namespace}_*")
    return {folder.name.split("_")[1] for folder in folders}
