"""Parts of a node are killed or cut off; afterwards all is as the API says, nothing was restarted, nothing leaked."""

import contextlib
import dataclasses
import signal
import time
from collections.abc import Iterator

import pytest

from devcluster.api import Cluster, Node
from tests.e2e import kube as k
from tests.e2e import lab as machines
from tests.e2e.kube import Kube, Manifest

PODS_OF_CHURN = 12


@pytest.fixture
def node(lab: Cluster) -> Node:
    """The node whose parts are killed."""
    return lab.node("n1")


def _on(node: Node, name: str, *containers: Manifest, **spec: object) -> Manifest:
    """A Pod bound to this node."""
    return k.pod(name, *containers, nodeName=node.name, **spec)


def _pinned(node: Node, replicas: int) -> Manifest:
    """A web Deployment whose Pods all run on this node."""
    return k.web_deployment("web", replicas, nodeSelector={"kubernetes.io/hostname": node.name})


def _restarts(pods: list[Manifest]) -> dict[str, int]:
    return {f"{p['metadata']['name']}": sum(s["restartCount"] for s in p["status"]["containerStatuses"]) for p in pods}


def _starts(pods: list[Manifest]) -> dict[str, str]:
    """When each container began: a container that was replaced has another time or id."""
    return {
        f"{p['metadata']['name']}/{s['name']}": s["containerID"] for p in pods for s in p["status"]["containerStatuses"]
    }


@pytest.fixture
def no_leak(kube: Kube, node: Node) -> Iterator[None]:
    """After the test's Pods are deleted the node holds what it held before, but for what no CRI call can remove."""
    before = machines.leftovers(node)
    yield
    aborted = machines.aborted_starts(node)
    kube.run("delete", "deployments,pods,services", "--all", "--wait=true", "--timeout=120s", timeout=150)

    def left() -> machines.Leftovers:
        return _but_for(aborted, machines.leftovers(node), before)

    # What an earlier test left so may be gone by now: containerd finds it again when it is restarted.
    wanted = _but_for(aborted, before, before)
    with contextlib.suppress(AssertionError):
        k.wait_for(lambda: left() == wanted, f"nothing to be left on {node.name}", seconds=60)
    assert left() == wanted


def _but_for(aborted: frozenset[str], held: machines.Leftovers, before: machines.Leftovers) -> machines.Leftovers:
    """What is held without the starts that were cut off; the folders of their Pods are told by their number."""
    stuck = (held.containers | before.containers) & aborted
    differ = held.folders ^ before.folders
    return dataclasses.replace(
        held,
        sandboxes=held.sandboxes - stuck,
        containers=held.containers - stuck,
        folders=held.folders if len(differ) > len(stuck) else before.folders,
    )


def test_pykubelet_killed_in_mid_churn_adopts_what_runs(kube: Kube, node: Node, no_leak: None) -> None:
    kube.apply(_pinned(node, 3))
    k.wait_for(lambda: len(kube.ready_pods("app=web")) == 3, "3 Ready Pods of Deployment web")
    settled = _starts(kube.ready_pods("app=web"))

    known = machines.aborted_starts(node)
    kube.apply(*(_on(node, f"churn-{i}", k.shell("c", "sleep 3600")) for i in range(PODS_OF_CHURN)))
    time.sleep(1)  # the kill is to hit Pods that are being started
    node.stop("kubelet", sign=signal.SIGKILL)
    for i in range(PODS_OF_CHURN // 2):
        kube.delete("pod", f"churn-{i}", wait=False)
    node.start("kubelet")

    def settled_down() -> list[Manifest]:
        pods = kube.listed("pods")
        return pods if len(pods) == 3 + PODS_OF_CHURN // 2 and all(map(k.is_ready, pods)) else []

    after = k.wait_for(settled_down, "the Pods that are left to be Ready and the deleted ones gone", seconds=120)
    aborted = machines.aborted_starts(node) - known
    assert sum(_restarts(after).values()) <= len(aborted), (
        "no container was restarted, but for starts that were cut off"
    )
    assert settled.items() <= _starts(after).items(), "what ran is still the same container"


def test_pyproxy_killed_in_mid_churn_refuses_no_connection(kube: Kube, lab: Cluster, node: Node, no_leak: None) -> None:
    kube.apply(_pinned(node, 3), k.service("web"))
    k.wait_for(lambda: len(kube.ready_pods("app=web")) == 3, "3 Ready Pods of Deployment web")
    loop = "while true; do curl -s --max-time 5 http://web/hostname && echo || echo FAILED $?; sleep 0.02; done"
    kube.apply(_on(node, "load", k.shell("load", loop, image=k.AGNHOST)))
    kube.wait_ready("load")
    k.wait_for(lambda: "web-" in kube.run("logs", "load", "--tail=5"), "the load to flow")

    for round_ in range(3):
        node.stop("proxy", sign=signal.SIGKILL)
        other = k.service(f"other-{round_}")
        other["spec"]["selector"] = {"app": "web"}
        kube.apply(other)
        node.start("proxy")

    def answered() -> list[str]:
        return list(k.lines(kube.run("logs", "load")))

    by_then = len(answered())
    # The load shall run on for a while.
    answers = k.wait_for(
        lambda: found if len(found := answered()) > by_then + 100 else None, "a hundred answers after the last start"
    )
    failures = [line for line in answers if not line.startswith("web-")]
    assert not failures, f"{len(failures)} of {len(answers)} requests failed: {failures[:5]}"
    for round_ in range(3):
        url = f"http://{kube.get('service', f'other-{round_}')['spec']['clusterIP']}/hostname"
        answer = k.wait_for(
            lambda url=url: kube.exec("load", "curl", "-s", "--max-time", "2", url),
            "a Service made meanwhile to answer",
        )
        assert answer.startswith("web-")


def test_containerd_restarted_under_load_loses_nothing(kube: Kube, node: Node, no_leak: None) -> None:
    kube.apply(_pinned(node, 3))
    k.wait_for(lambda: len(kube.ready_pods("app=web")) == 3, "3 Ready Pods of Deployment web")
    settled = _starts(kube.ready_pods("app=web"))
    kube.apply(*(_on(node, f"churn-{i}", k.shell("c", "sleep 3600")) for i in range(PODS_OF_CHURN)))
    time.sleep(1)  # containerd is to be hit while it makes sandboxes
    node.restart("containerd", sign=signal.SIGKILL)
    k.wait_for(
        lambda: len([p for p in kube.listed("pods") if k.is_ready(p)]) == 3 + PODS_OF_CHURN,
        "every Pod to be Ready",
        seconds=120,
    )
    assert settled.items() <= _starts(kube.listed("pods")).items(), "what ran is still the same container"


def test_pods_run_on_and_restart_while_the_api_server_is_away(
    kube: Kube, lab: Cluster, node: Node, no_leak: None
) -> None:
    """60 s without API server: running Pods go on, a crashed container restarts, and the status arrives afterwards."""
    kube.apply(
        _on(node, "steady", k.shell("c", "sleep 3600")),
        _on(node, "crash", k.shell("c", "sleep 20; exit 1", volumeMounts=[])),
    )
    steady = kube.wait_ready("steady")
    kube.wait_ready("crash")
    identity = k.container_status(steady)["containerID"]
    with lab.without("kube-apiserver"):
        time.sleep(60)  # the time the issue of an absent API server is about
        # The container that crashes is not among them while it is backed off.
        k.wait_for(lambda: len(node.ctr("tasks", "list", "-q").split()) >= 4, "two sandboxes and two containers to run")
    k.wait_for(lambda: k.container_status(kube.get("pod", "crash"))["restartCount"] >= 1, "the restart to be reported")
    after = kube.wait_ready("steady", seconds=90)
    assert k.container_status(after)["containerID"] == identity
    assert k.container_status(after)["restartCount"] == 0
    k.wait_for(lambda: k.is_ready(kube.get("node", node.name)), f"node {node.name} to be Ready", seconds=90)
    # The controllers come back at their own pace, which the next test is not about.
    kube.apply(_pinned(node, 1), k.service("web"))
    k.wait_for(lambda: kube.ready_pods("app=web"), "a Deployment to be carried out again", seconds=120)
    k.wait_for(lambda: "web-" in kube.run("get", "endpointslices", "-o", "json"), "its EndpointSlice", seconds=120)
