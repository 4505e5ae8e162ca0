"""Certificates that last seconds: renewed under what goes on; and a node whose certificate ended comes back."""

import contextlib
import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster import controlplane, layout, processes
from devcluster.api import Cluster, Node
from tests.e2e import kube as k
from tests.e2e.kube import Kube
from tests.e2e.kubelet_port import Caller, KubeletPort

LIFE = 20
"""Seconds that a signed certificate lasts. It is dated back by minutes, so the next is asked for at once."""
SIGNER = "kube-controller-manager"
ROLES = "system:certificates.k8s.io:certificatesigningrequests"
CURRENT = layout.KUBELET_CERTS / "kubelet-client-current.pem"
COUNT = "i=0; while [ $i -lt {n} ]; do echo $i; i=$((i+1)); sleep 0.2; done"


@contextlib.contextmanager
def short_lives(lab: Cluster) -> Iterator[None]:
    """While within, the cluster signs certificates for LIFE seconds."""
    running = processes.find(lab.files.pids / SIGNER)
    assert running is not None
    argv = [*running.argv, f"--cluster-signing-duration={LIFE}s"]
    controlplane.launch(controlplane.program(lab.files, SIGNER, argv))
    try:
        yield
    finally:
        lab.start(SIGNER)


@contextlib.contextmanager
def approving(cluster: Kube) -> Iterator[None]:
    """Somebody approves what nodes ask for to serve with: no controller does."""
    done = threading.Event()

    def approve() -> None:
        while not done.wait(0.5):
            with contextlib.suppress(k.CommandError):
                asked = cluster.listed("csr")
                names = [one["metadata"]["name"] for one in asked if not one.get("status", {}).get("conditions")]
                if names:
                    cluster.run("certificate", "approve", *names)

    thread = threading.Thread(target=approve, name="approver")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextlib.contextmanager
def bound(cluster: Kube, name: str, role: str, subject: str) -> Iterator[None]:
    cluster.run("create", "clusterrolebinding", name, f"--clusterrole={role}", subject)
    try:
        yield
    finally:
        cluster.run("delete", "clusterrolebinding", name)


@contextlib.contextmanager
def rotating(node: Node, **more: Any) -> Iterator[None]:
    """While within, the node renews its certificates; then all is as before."""
    files = [node.files.outside(path) for path in (layout.KUBELET_CONFIG, layout.KUBELET_KUBECONFIG)]
    before = [path.read_bytes() for path in files]
    config = json.loads(before[0]) | {"rotateCertificates": True} | more
    files[0].write_text(json.dumps(config))
    node.restart("kubelet")
    try:
        yield
    finally:
        for path, data in zip(files, before, strict=True):
            path.write_bytes(data)
        for path in node.files.outside(layout.KUBELET_CERTS).glob("kubelet-*-*.pem"):
            path.unlink()
        node.files.outside(layout.KUBELET_BOOTSTRAP).unlink(missing_ok=True)
        node.restart("kubelet")


@pytest.fixture
def node(lab: Cluster, cluster: Kube) -> Iterator[Node]:
    """n1, whose renewals are approved as kubeadm has it."""
    with bound(cluster, "e2e-renew", f"{ROLES}:selfnodeclient", "--group=system:nodes"), short_lives(lab):
        yield lab.node("n1")


def target(node: Node, name: str) -> str:
    """The file that a link of the certificate folder points at; empty while there is none."""
    link = node.files.outside(layout.KUBELET_CERTS) / f"{name}-current.pem"
    return str(link.readlink()) if link.is_symlink() else ""


def test_certificates_are_renewed_under_a_command_a_log_and_a_watch(
    kube: Kube, cluster: Kube, lab: Cluster, node: Node
) -> None:
    with approving(cluster), rotating(node, serverTLSBootstrap=True):
        for name in ("kubelet-client", "kubelet-server"):
            k.wait_for(lambda name=name: target(node, name), f"the first certificate of {name}")
        volume = {"name": "told", "configMap": {"name": "told"}}
        kube.run("create", "configmap", "told", "--from-literal=word=0")
        counting = k.shell("c", COUNT.format(n=100_000), volumeMounts=[{"name": "told", "mountPath": "/told"}])
        kube.apply(k.pod("long", counting, nodeName=node.name, volumes=[volume]))
        uid = kube.wait_ready("long")["metadata"]["uid"]
        told = node.kubelet_root / f"pods/{uid}/volumes/kubernetes.io~configmap/told/word"
        ready = _ready(cluster, node)
        command = kube.start("exec", "long", "--", "sh", "-c", COUNT.format(n=150))
        follower = kube.start("logs", "-f", "long")
        seen: dict[str, set[str]] = {"kubelet-client": set(), "kubelet-server": set(), "served": set()}
        port = KubeletPort(lab, node.name)
        word, began = 0, time.monotonic()
        while command.poll() is None and time.monotonic() - began < 120:
            word += 1
            kube.run("patch", "configmap", "told", "-p", json.dumps({"data": {"word": str(word)}}))
            k.wait_for(
                lambda now=str(word): told.read_text() == now, "the ConfigMap's change in the volume", seconds=10
            )
            for name in ("kubelet-client", "kubelet-server"):
                seen[name].add(target(node, name))
            with port.secure(Caller()) as connection:
                seen["served"].add(str(hash(connection.getpeercert(binary_form=True))))
        output, said = command.communicate(timeout=10)
        assert output.split() == [str(number) for number in range(150)], said
        follower.kill()
        lines = [int(line) for line in follower.communicate()[0].split()]
        assert lines == list(range(len(lines)))
        assert len(lines) > 150
        assert {name: len(found) > 2 for name, found in seen.items()} == dict.fromkeys(seen, True), seen
        assert _ready(cluster, node) == ready


def _ready(cluster: Kube, node: Node) -> dict[str, str]:
    """The Node's Ready condition without its heartbeat."""
    conditions = {one["type"]: one for one in cluster.get("node", node.name)["status"]["conditions"]}
    return {key: text for key, text in conditions["Ready"].items() if key != "lastHeartbeatTime"}


def test_a_node_whose_certificate_expired_comes_back_by_a_bootstrap_kubeconfig(
    kube: Kube, cluster: Kube, node: Node
) -> None:
    kube.apply(k.pod("stays", k.shell("c", "sleep 3600"), nodeName=node.name))
    before = k.container_status(kube.wait_ready("stays"))
    with rotating(node):
        k.wait_for(lambda: target(node, "kubelet-client"), "a certificate that ends soon")
        node.stop("kubelet")
        _name_current(node.files.outside(layout.KUBELET_KUBECONFIG))
        time.sleep(LIFE + 1)  # nothing else makes a certificate end
        where = node.log("kubelet").stat().st_size
        node.start("kubelet", wait=False)

        def said() -> str:
            return node.log("kubelet").read_bytes()[where:].decode()

        k.wait_for(lambda: "expired at" in said() and "a bootstrap kubeconfig" in said(), "the reason in the log")
        cut = time.time()
        with _bootstrap(kube, node):
            k.wait_for(lambda: _renewed(cluster, node) > cut, "the Node's Lease to be renewed", seconds=90)
            k.wait_for(lambda: _ready(cluster, node)["status"] == "True", "the Node to be Ready", seconds=90)
            kube.apply(k.pod("new", k.shell("c", "sleep 3600"), nodeName=node.name))
            kube.wait_ready("new")
    assert k.container_status(kube.get("pod", "stays"))["containerID"] == before["containerID"]


def _name_current(kubeconfig: Path) -> None:
    """Let the kubeconfig name the certificate that is renewed, as kubeadm's does."""
    document = yaml.safe_load(kubeconfig.read_text())
    document["users"][0]["user"] = {"client-certificate": str(CURRENT), "client-key": str(CURRENT)}
    kubeconfig.write_text(json.dumps(document))


@contextlib.contextmanager
def _bootstrap(kube: Kube, node: Node) -> Iterator[None]:
    """A bootstrap kubeconfig in its place, with the token of a service account that may ask for nodes' certificates."""
    kube.run("create", "serviceaccount", "newcomer")
    token = kube.run("create", "token", "newcomer").strip()
    document = yaml.safe_load(node.files.outside(layout.KUBELET_KUBECONFIG).read_text())
    document["users"][0]["user"] = {"token": token}
    account = f"--serviceaccount={kube.namespace}:newcomer"
    with (
        bound(kube, "e2e-ask", "system:node-bootstrapper", account),
        bound(kube, "e2e-approve", f"{ROLES}:nodeclient", account),
    ):
        node.files.outside(layout.KUBELET_BOOTSTRAP).write_text(json.dumps(document))
        yield


def _renewed(cluster: Kube, node: Node) -> float:
    """When the Node's Lease was renewed, in seconds since the epoch."""
    lease = cluster.run("get", "lease", node.name, "-n", "kube-node-lease", "-o", "jsonpath={.spec.renewTime}")
    return dt.datetime.fromisoformat(lease).timestamp()
