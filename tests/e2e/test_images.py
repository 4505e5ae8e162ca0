"""Images as real clusters pull them: with passwords, many at a time, each once; and how they go again."""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devcluster.api import Cluster, Node
from devcluster.spec import Agent
from tests.e2e import kube as k
from tests.e2e import private_registry, small_node
from tests.e2e.kube import Kube, Manifest
from tests.e2e.lab import Registry

SECRET_PORT, SECRET_PASSWORD = 5001, "from-a-secret"
SPARE = [{"key": "e2e", "operator": "Equal", "value": "spare", "effect": "NoSchedule"}]


@dataclass(frozen=True)
class Private:
    """Two private registries: Pods have a secret for one, the node has a program for the other."""

    with_secret: str
    with_program: str
    log: Path

    def pulls(self, name: str) -> list[dict[str, Any]]:
        """The first request of each pull of an image, as it was let in."""
        noted = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        wanted = f"/v2/{name}/manifests/1"
        return [one for one in noted if one["path"] == wanted and one["let_in"] and one["method"] == "HEAD"]


@pytest.fixture(scope="module")
def private(lab: Cluster, spare: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Private]:
    host = lab.spec.registry.rpartition(":")[0]
    found = Private(
        f"{host}:{SECRET_PORT}", small_node.private_registry(spare), tmp_path_factory.mktemp("private") / "requests"
    )
    for registry in (found.with_secret, found.with_program):
        small_node.trust(spare, registry)
    ports = [f"{SECRET_PORT}={SECRET_PASSWORD}", f"{small_node.CREDENTIALS_PORT}={small_node.PASSWORD}"]
    pairing = str(small_node.CREDENTIALS_PORT)
    program = [sys.executable, private_registry.__file__, pairing, *ports, lab.spec.registry, str(found.log)]
    command = ["nsenter", f"--net={lab.netns}", *program]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"listening\n"
            yield found
        finally:
            process.terminate()


@pytest.fixture
def image(registry: Registry) -> str:
    """The name of an image that no node has: without registry and tag."""
    name = f"late-{uuid.uuid4().hex[:8]}"
    registry.publish(f"registry.k8s.io/{name}:1")
    return name


def pulling(name: str, image: str, node: Node, **spec: object) -> Manifest:
    return k.pod(name, k.container("c", image=image), nodeName=node.name, tolerations=SPARE, **spec)


def failures(kube: Kube, pod: str) -> list[str]:
    return [event["message"] for event in kube.events(pod) if event["reason"] == "Failed"]


def test_a_pull_secret_opens_a_private_registry_and_one_pull_serves_all(
    kube: Kube, spare: Node, private: Private, image: str
) -> None:
    make_secret(kube, "key", private)
    name = f"{private.with_secret}/{image}:1"
    kube.apply(pulling("refused", name, spare))
    k.wait_for(lambda: failures(kube, "refused"), "a pull without a password to fail")
    pods = [pulling(f"p{number}", name, spare, imagePullSecrets=[{"name": "key"}]) for number in range(4)]
    kube.apply(*pods)
    for pod in pods:
        kube.wait_ready(pod["metadata"]["name"])
        assert failures(kube, pod["metadata"]["name"]) == []
    assert len(private.pulls(image)) == 1


def make_secret(kube: Kube, name: str, private: Private) -> None:
    server = f"--docker-server={private.with_secret}"
    user = (f"--docker-username={private_registry.USER}", f"--docker-password={SECRET_PASSWORD}")
    kube.run("create", "secret", "docker-registry", name, server, *user)


@pytest.fixture
def its_kubelet(spare: Node) -> Iterator[Callable[[Agent], None]]:
    """Swaps the spare node's kubelet; ours is there again afterwards."""
    yield lambda agent: spare.use(kubelet=agent)
    if spare.spec.kubelet is not Agent.OURS:
        spare.use(kubelet=Agent.OURS)


def test_an_image_on_the_node_is_only_for_those_who_could_pull_it_whichever_kubelet_did(
    kube: Kube, spare: Node, private: Private, registry: Registry, its_kubelet: Callable[[Agent], None]
) -> None:
    """Each kubelet pulls an image with a Pod's secret; then it and the other let the same Pods have it."""
    make_secret(kube, "key", private)
    for first, second in ((Agent.OURS, Agent.GENUINE), (Agent.GENUINE, Agent.OURS)):
        its_kubelet(first)
        image = f"late-{uuid.uuid4().hex[:8]}"
        registry.publish(f"registry.k8s.io/{image}:1")
        name = f"{private.with_secret}/{image}:1"
        keys = {"imagePullSecrets": [{"name": "key"}]}
        kube.apply(pulling(f"owner-{image}", name, spare, **keys))
        kube.wait_ready(f"owner-{image}")
        for kubelet in (first, second):
            its_kubelet(kubelet)
            stranger, never, friend = (f"{who}-{kubelet}-{image}" for who in ("stranger", "never", "friend"))
            not_pulled = pulling(never, name, spare)
            not_pulled["spec"]["containers"][0]["imagePullPolicy"] = "Never"
            copy = f"copy-{kubelet}-{image}"
            make_secret(kube, copy, private)
            kube.apply(
                pulling(stranger, name, spare),
                not_pulled,
                pulling(friend, name, spare, imagePullSecrets=[{"name": copy}]),
            )
            kube.wait_ready(friend)
            k.wait_for(lambda pod=stranger: "no basic auth" in str(failures(kube, pod)), f"{stranger} to be refused")
            k.wait_for(lambda pod=never: waits_for(kube, pod) == "ErrImageNeverPull", f"{never} to be told the same")
        assert len(private.pulls(image)) == 1, "to those who have the secret it is given from the node"
        kube.run("delete", "pods", "--all", "--wait=true", "--timeout=120s", timeout=150)


def waits_for(kube: Kube, pod: str) -> str | None:
    return k.container_status(kube.get("pod", pod))["state"].get("waiting", {}).get("reason")


def test_images_are_pulled_side_by_side_with_credentials_of_the_nodes_program(
    kube: Kube, spare: Node, private: Private, image: str, registry: Registry
) -> None:
    """The registry answers for neither before both are asked for; to who asks for one at a time it does, late."""
    other = f"{image}-2"
    registry.publish(f"registry.k8s.io/{other}:1")
    kube.apply(*(pulling(name, f"{private.with_program}/{name}:1", spare) for name in (image, other)))
    for name in (image, other):
        kube.wait_ready(name)
    (one,), (two,) = private.pulls(image), private.pulls(other)
    assert max(one["began"], two["began"]) < min(one["ended"], two["ended"])
