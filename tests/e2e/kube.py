"""What an e2e test says to a cluster: kubectl, as a user types it, with JSON answers. Works against any KUBECONFIG."""

import dataclasses
import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
Manifest = dict[str, Any]

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.66.1"
BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.37.0-2"
PAUSE = "registry.k8s.io/pause:3.10.2"


class CommandError(AssertionError):
    """A kubectl call that failed; its text is what kubectl said."""


def wait_for(check: Callable[[], T | None], what: str, *, seconds: float = 60, every: float = 0.2) -> T:
    """Ask until the answer is true (not None, empty or False); AssertionError with the last one when time is up."""
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            last = check()
            if last:
                return last  # type: ignore[return-value]
        except (CommandError, KeyError, IndexError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:.0f} s still waiting for {what}; last seen: {last!r}")
        time.sleep(every)


@dataclasses.dataclass(frozen=True)
class Kube:
    """kubectl bound to one namespace. `program` is how kubectl is called, e.g. through a network namespace."""

    namespace: str
    program: tuple[str, ...] = tuple(shlex.split(os.environ.get("KUBECTL", "kubectl")))

    def run(self, *args: str, stdin: str | None = None, timeout: float = 60) -> str:
        """Standard output of `kubectl ARGS`; CommandError when it fails."""
        done = subprocess.run(
            [*self.program, "-n", self.namespace, *args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise CommandError(f"kubectl {' '.join(args)}: exit {done.returncode}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def start(self, *args: str) -> "subprocess.Popen[str]":
        """`kubectl ARGS` in the background, its output on pipes."""
        return subprocess.Popen(
            [*self.program, "-n", self.namespace, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def apply(self, *manifests: Manifest) -> None:
        self.run("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    def get(self, kind: str, name: str) -> Manifest:
        return json.loads(self.run("get", kind, name, "-o", "json"))

    def listed(self, kind: str, *, selector: str = "") -> list[Manifest]:
        chosen = ("-l", selector) if selector else ()
        return json.loads(self.run("get", kind, "-o", "json", *chosen))["items"]

    def exists(self, kind: str, name: str) -> bool:
        return bool(self.run("get", kind, name, "--ignore-not-found", "-o", "name").strip())

    def delete(self, kind: str, name: str, *, grace: int | None = None, wait: bool = True) -> None:
        graced = () if grace is None else (f"--grace-period={grace}",)
        self.run("delete", kind, name, f"--wait={str(wait).lower()}", *graced, timeout=180)

    def exec(self, pod: str, *command: str, timeout: float = 60) -> str:
        return self.run("exec", pod, "--", *command, timeout=timeout)

    def events(self, name: str) -> list[Manifest]:
        """The events about an object, oldest first."""
        found = self.run("get", "events", f"--field-selector=involvedObject.name={name}", "-o", "json")
        return json.loads(found)["items"]

    def ready_pods(self, selector: str) -> list[Manifest]:
        """The Pods that are Ready and not being deleted."""
        return [p for p in self.listed("pods", selector=selector) if is_ready(p)]

    def wait_ready(self, name: str, *, seconds: float = 60) -> Manifest:
        def ready() -> Manifest | None:
            pod = self.get("pod", name)
            return pod if is_ready(pod) else None

        return wait_for(ready, f"Pod {self.namespace}/{name} to be Ready", seconds=seconds)

    def wait_phase(self, name: str, phase: str, *, seconds: float = 60) -> Manifest:
        def reached() -> Manifest | None:
            pod = self.get("pod", name)
            return pod if pod["status"].get("phase") == phase else None

        return wait_for(reached, f"Pod {self.namespace}/{name} to be {phase}", seconds=seconds)


def told(kube: Kube) -> str:
    """A namespace's Pods and events as kubectl shows them: for whoever reads why a test failed."""
    texts = []
    for question in (("get", "pods", "-o", "wide"), ("get", "events", "--sort-by=.metadata.creationTimestamp")):
        try:
            texts.append(kube.run(*question))
        except (CommandError, subprocess.TimeoutExpired) as error:
            texts.append(f"{error}\n")
    return "\n".join(texts)


def runs_pykubelet(node: Manifest) -> bool:
    """Whether a node is ours, by the version that it states."""
    return "+pykubelet." in node["status"]["nodeInfo"]["kubeletVersion"]


def is_ready(one: Manifest) -> bool:
    """Whether a Pod or node is, and is not going."""
    if "deletionTimestamp" in one["metadata"]:
        return False
    conditions = {c["type"]: c["status"] for c in one["status"].get("conditions", [])}
    return conditions.get("Ready") == "True"


def container_status(pod: Manifest, name: str | None = None) -> Manifest:
    """The status of one container, the first when no name is given; KeyError while there is none."""
    for status in pod["status"]["containerStatuses"]:
        if name in (None, status["name"]):
            return status
    raise KeyError(name)


def pod(name: str, *containers: Manifest, **spec: Any) -> Manifest:
    """A Pod manifest; a short grace period unless the spec says otherwise."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec},
    }


def container(name: str, *command: str, image: str = BUSYBOX, **more: Any) -> Manifest:
    return {"name": name, "image": image, **({"command": list(command)} if command else {}), **more}


def shell(name: str, script: str, **more: Any) -> Manifest:
    return container(name, "sh", "-c", script, **more)


def web_deployment(name: str, replicas: int, **pod_spec: Any) -> Manifest:
    """A Deployment of agnhost's web server, which answers /hostname with its Pod's name and drains for 5 s."""
    server = container("web", image=AGNHOST, args=["netexec", "--http-port=8080", "--delay-shutdown=5"])
    server["readinessProbe"] = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    server["ports"] = [{"containerPort": 8080}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 10, "containers": [server], **pod_spec},
            },
        },
    }


def service(name: str, *, type_: str = "ClusterIP", port: int = 80, target: int = 8080) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": type_, "selector": {"app": name}, "ports": [{"port": port, "targetPort": target}]},
    }


def lines(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line)
