"""The genuine sample device plugin on a node of ours: Pods get its devices, and keep them whichever kubelet runs."""

import subprocess
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from devcluster import binaries, tools
from devcluster.api import Cluster, Node
from devcluster.progress import Reporter
from devcluster.spec import Agent
from plugin_protos import podresources_pb2 as told
from plugin_protos import podresources_pb2_grpc as telling
from tests.e2e import kube as k
from tests.e2e.kube import Kube, Manifest

RESOURCE = "example.com/resource"
IDS = {"Dev-1", "Dev-2"}


@pytest.fixture
def node(lab: Cluster) -> Iterator[Node]:
    """A node whose kubelet is ours again after the test."""
    found = lab.node("n2")
    yield found
    if found.spec.kubelet is not Agent.OURS:
        found.use(kubelet=Agent.OURS)


@pytest.fixture
def plugin(node: Node, kube: Kube) -> Iterator["subprocess.Popen[bytes]"]:
    """The plugin as a process on the node, its two devices told of by the API."""
    program = binaries.resolve(tools.TESTS[:1], Reporter(quiet=True))["sample-device-plugin"]
    log = (node.files.logs / "sample-device-plugin.log").open("wb")
    process = subprocess.Popen([*node.enter(), program], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    log.close()
    try:
        k.wait_for(lambda: offered(kube, node) == ("2", "2"), f"{RESOURCE} on {node.name}")
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


def offered(kube: Kube, node: Node) -> tuple[str | None, str | None]:
    """Capacity and what of it can be had."""
    status = kube.get("node", node.name)["status"]
    return status["capacity"].get(RESOURCE), status["allocatable"].get(RESOURCE)


def wanting(name: str, count: int, node: Node) -> Manifest:
    limits = {"limits": {RESOURCE: str(count)}}
    return k.pod(name, k.shell("c", "ls /tmp/Dev-*; sleep 3600", resources=limits), nodeName=node.name)


def told_by(node: Node, call: str, request: Any) -> Any:
    """What the kubelet that runs now tells monitoring agents."""
    with grpc.insecure_channel(f"unix:{node.kubelet_root}/pod-resources/kubelet.sock") as channel:
        return getattr(telling.PodResourcesListerStub(channel), call)(request, timeout=10, wait_for_ready=True)


def registered(node: Node) -> set[str]:
    """The devices that the kubelet has been told of since it started."""
    answer = told_by(node, "GetAllocatableResources", told.AllocatableResourcesRequest())
    return {id_ for one in answer.devices if one.resource_name == RESOURCE for id_ in one.device_ids}


def assigned(node: Node, pod: str) -> set[str]:
    """The devices of a Pod."""
    answer = told_by(node, "List", told.ListPodResourcesRequest())
    return {
        id_
        for one in answer.pod_resources
        if one.name == pod
        for container in one.containers
        for device in container.devices
        if device.resource_name == RESOURCE
        for id_ in device.device_ids
    }


def test_pods_get_devices_until_there_are_none(kube: Kube, node: Node, plugin: "subprocess.Popen[bytes]") -> None:
    kube.apply(wanting("both", 2, node))
    kube.wait_ready("both")
    # The plugin gives each device as a file; that it is in the container is its doing alone.
    k.wait_for(lambda: kube.run("logs", "both").split() == ["/tmp/Dev-1", "/tmp/Dev-2"], "both devices to be listed")
    assert assigned(node, "both") == IDS
    status = k.container_status(kube.get("pod", "both"))
    (health,) = status["allocatedResourcesStatus"]
    assert health["name"] == RESOURCE
    assert {one["resourceID"]: one["health"] for one in health["resources"]} == dict.fromkeys(IDS, "Healthy")

    kube.apply(wanting("late", 1, node))
    refused = kube.wait_phase("late", "Failed")
    assert refused["status"]["reason"] == f"OutOf{RESOURCE}"
    kube.delete("pod", "both")
    kube.apply(wanting("next", 1, node))
    kube.wait_ready("next")

    plugin.terminate()
    k.wait_for(lambda: offered(kube, node) == ("2", "0"), "the devices of a plugin that went to be unhealthy")
    k.wait_for(
        lambda: (
            k.container_status(kube.get("pod", "next"))["allocatedResourcesStatus"][0]["resources"][0]["health"]
            == "Unhealthy"
        ),
        "the Pod to tell that its device is not well",
    )


def test_a_pod_keeps_its_devices_whichever_kubelet_runs(
    kube: Kube, node: Node, plugin: "subprocess.Popen[bytes]"
) -> None:
    kube.apply(wanting("kept", 1, node))
    kube.wait_ready("kept")
    had = assigned(node, "kept")
    assert len(had) == 1
    for agent in (Agent.GENUINE, Agent.OURS):
        node.use(kubelet=agent)
        k.wait_for(lambda: registered(node) == IDS, f"the plugin to register with the {agent.value} kubelet")
        k.wait_for(lambda: assigned(node, "kept") == had, f"the {agent.value} kubelet to know who has which")
        kube.apply(wanting(f"other-{agent.value}", 1, node))
        kube.wait_ready(f"other-{agent.value}")
        assert assigned(node, f"other-{agent.value}") == IDS - had
        kube.delete("pod", f"other-{agent.value}")
    assert k.container_status(kube.get("pod", "kept"))["restartCount"] == 0
