"""A node's kubelet is swapped, genuine for ours and back: what runs goes on; each carries on where the other was."""

import dataclasses
import json
import time
from collections.abc import Iterator

import pytest
import yaml

from devcluster import layout
from devcluster.api import Cluster, Node
from devcluster.spec import Agent
from tests.e2e import kube as k
from tests.e2e import lab as machines
from tests.e2e.kube import Kube, Manifest

NODE = "n8"
HOST_PORT = 18088
TAINT = {"key": "e2e", "operator": "Exists"}
# A genuine kubelet refreshes volumes and shows a back-off at its next resync, which can be more than a minute away.
# Until then `logs --previous` of a container that crashed asks for the one before, which it has removed already.
RESYNC = 150


@pytest.fixture(scope="module")
def node(lab: Cluster, cluster: Kube) -> Iterator[Node]:
    """A node whose kubelet is swapped, kept free of all other Pods."""
    with machines.added(lab.name, f"{NODE}=genuine-kubelet") as node:
        cluster.run("taint", "node", NODE, "e2e=adoption:NoSchedule", "--overwrite")
        yield node


def _mounts(*names: str) -> list[Manifest]:
    return [{"name": name, "mountPath": f"/{name}"} for name in names]


def _with_volumes() -> Manifest:
    names = ("config", "secret", "all", "told", "disk", "memory", "host")
    projected = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
        {"configMap": {"name": "words", "items": [{"key": "word", "path": "word"}]}},
    ]
    label = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    sources = (
        {"configMap": {"name": "words"}},
        {"secret": {"secretName": "hidden"}},
        {"projected": {"sources": projected}},
        {"downwardAPI": {"items": [label]}},
        {"emptyDir": {}},
        {"emptyDir": {"medium": "Memory"}},
        {"hostPath": {"path": "/var/lib/node/e2e-host", "type": "DirectoryOrCreate"}},
    )
    begin = "for d in disk memory host; do echo begun >> /$d/marks; done"
    return k.pod(
        "volumes",
        k.shell("main", "echo up; sleep 36000", volumeMounts=_mounts(*names)),
        initContainers=[k.shell("begin", begin, volumeMounts=_mounts("disk", "memory", "host"))],
        volumes=[{"name": name, **source} for name, source in zip(names, sources, strict=True)],
        nodeName=NODE,
    )


def _world() -> list[Manifest]:
    """Pods of every kind, but for static ones and those that are about to go."""
    sidecar = k.shell("beside", "sleep 36000", restartPolicy="Always")
    port = {"containerPort": 8080, "hostPort": HOST_PORT}
    web = k.web_deployment("web", 2, nodeSelector={"kubernetes.io/hostname": NODE}, tolerations=[TAINT])
    server = web["spec"]["template"]["spec"]["containers"][0]
    server["livenessProbe"] = server["startupProbe"] = server["readinessProbe"]
    spec = {"restartPolicy": "Never", "containers": [k.shell("main", "echo done")], "nodeName": NODE}
    job = {"template": {"spec": spec}, "backoffLimit": 0}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "words"}, "data": {"word": "first"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hidden"}, "stringData": {"word": "first"}},
        _with_volumes(),
        k.pod("sidecar", k.shell("main", "sleep 36000"), initContainers=[sidecar], nodeName=NODE),
        k.pod("debugged", k.shell("main", "sleep 36000"), nodeName=NODE),
        k.pod("host", k.shell("main", "sleep 36000"), nodeName=NODE, hostNetwork=True, hostPID=True),
        k.pod(
            "port",
            k.container("main", image=k.AGNHOST, args=["netexec", "--http-port=8080"], ports=[port]),
            nodeName=NODE,
        ),
        k.pod("crash", k.shell("main", "echo crashed; exit 3"), nodeName=NODE),
        k.pod("failed", k.shell("main", "exit 4"), nodeName=NODE, restartPolicy="Never"),
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": job},
        web,
    ]


def _static(namespace: str) -> Manifest:
    body = k.pod("static", k.shell("main", "echo static; sleep 36000", resources={"limits": {"memory": "32Mi"}}))
    body["metadata"]["namespace"] = namespace
    return body


@dataclasses.dataclass(frozen=True)
class Scene:
    """The Pods on the node, and what must stay as it was."""

    kube: Kube
    node: Node

    def identities(self) -> dict[str, tuple[str, int, str]]:
        """Each container's id and restarts, and its Pod's UID; but for Pods that crash or are about to go."""
        found = {}
        for pod in self.kube.listed("pods"):
            name, status = pod["metadata"]["name"], pod["status"]
            if name == "crash" or name.startswith("leaving"):
                continue
            for kind in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
                for one in status.get(kind, ()):
                    found[f"{name}/{one['name']}"] = (
                        one.get("containerID", ""),
                        one["restartCount"],
                        pod["metadata"]["uid"],
                    )
        return found

    def crashes(self) -> int:
        return int(k.container_status(self.kube.get("pod", "crash"))["restartCount"])

    def begin(self) -> None:
        """Have every kind of Pod there."""
        self.kube.apply(*_world())
        folder = self.node.files.outside(layout.STATIC_PODS)
        (folder / "e2e-static.yaml").write_text(yaml.safe_dump(_static(self.kube.namespace)))
        for name in ("volumes", "sidecar", "debugged", "host", "port", f"static-{NODE}"):
            self.kube.wait_ready(name, seconds=120)
        self.kube.run("debug", "debugged", f"--image={k.BUSYBOX}", "--container=look", "--", "sleep", "36000")
        k.wait_for(self._look_runs, "the ephemeral container to run")
        k.wait_for(lambda: len(self.kube.ready_pods("app=web")) == 2, "both Pods of Deployment web", seconds=120)
        self.kube.wait_phase("failed", "Failed")
        k.wait_for(lambda: self.kube.get("job", "job")["status"].get("succeeded"), "the Job to be done")
        k.wait_for(lambda: self.crashes() >= 2, "Pod crash to have crashed twice", seconds=RESYNC)

    def _look_runs(self) -> bool:
        statuses = self.kube.get("pod", "debugged")["status"].get("ephemeralContainerStatuses", ())
        return any("running" in status["state"] for status in statuses)

    def swap(self, to: Agent) -> None:
        """Another kubelet on the same root, while a Pod is being terminated; all must be as it was."""
        before, crashes, word = self.identities(), self.crashes(), f"{to.value}-{time.monotonic_ns()}"
        leaving = f"leaving-{to.value}"
        # It ends 12 s after it was asked to: the old kubelet asks, the new one sees it end.
        trap = "trap 'echo asked; sleep 12; exit 0' TERM; while true; do sleep 0.1; done"
        self.kube.apply(k.pod(leaving, k.shell("main", trap), nodeName=NODE, terminationGracePeriodSeconds=40))
        self.kube.wait_ready(leaving)
        self.kube.delete("pod", leaving, wait=False)
        k.wait_for(lambda: "asked" in self.kube.run("logs", leaving), f"Pod {leaving} to be asked to stop")
        asked = time.monotonic()
        self.node.use(kubelet=to)
        k.wait_for(lambda: not self.kube.exists("pod", leaving), f"Pod {leaving} to be gone", seconds=60)
        assert 10 < time.monotonic() - asked < 38, "neither killed early nor left to the end of its grace"
        self.works(word)
        assert self.identities() == before, "every container is the one it was"
        assert self.crashes() >= crashes, "restarts are counted on"

    def works(self, word: str) -> None:
        """Logs, exec, ports and volumes work under the kubelet there is now."""
        assert "up" in self.kube.run("logs", "volumes")
        assert "static" in self.kube.run("logs", f"static-{NODE}")
        self.node.exec("bash", "-c", f"exec 3<>/dev/tcp/{self.node.address}/{HOST_PORT}")
        patch = json.dumps({"data": {"word": word}})
        self.kube.run("patch", "configmap", "words", "-p", patch)
        self.kube.run("patch", "secret", "hidden", "-p", json.dumps({"stringData": {"word": word}}))
        self.kube.run("label", "pod", "volumes", f"word={word}", "--overwrite")
        read = ("cat", "/config/word", "/secret/word", "/all/word", "/told/labels")
        k.wait_for(lambda: self.kube.exec("volumes", *read).count(word) == 4, "volumes to be refreshed", seconds=RESYNC)
        k.wait_for(self._crash_has_a_log, "the log of the crashed one", seconds=RESYNC)
        marks = self.kube.exec("volumes", "cat", "/disk/marks", "/memory/marks", "/host/marks")
        assert marks.split() == ["begun"] * 3, "init containers ran once, and what volumes hold was kept"
        assert self.kube.exec("volumes", "cat", "/all/token").count(".") == 2
        assert len(self.kube.ready_pods("app=web")) == 2

    def _crash_has_a_log(self) -> bool:
        return "crashed" in self.kube.run("logs", "crash", "--previous")

    def end(self) -> None:
        """Take all away."""
        (self.node.files.outside(layout.STATIC_PODS) / "e2e-static.yaml").unlink()
        self.kube.run("delete", "deployments,jobs,pods", "--all", "--wait=true", "--timeout=120s", timeout=150)
        self.node.exec("rm", "-rf", "/var/lib/node/e2e-host")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(Agent.GENUINE, Agent.OURS, id="what the genuine kubelet began"),
        pytest.param(Agent.OURS, Agent.GENUINE, id="what pykubelet began"),
    ],
)
def test_a_swap_of_kubelets_restarts_nothing(kube: Kube, node: Node, first: Agent, second: Agent) -> None:
    """There and back again, with Pods of every kind; nothing is left when they are deleted."""
    node.use(kubelet=first)
    clean = machines.leftovers(node)
    scene = Scene(kube, node)
    scene.begin()
    scene.swap(second)
    scene.swap(first)
    scene.end()
    k.wait_for(lambda: machines.leftovers(node) == clean, f"nothing to be left on {NODE}", seconds=120)
