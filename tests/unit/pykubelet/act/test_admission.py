"""Whom a critical Pod may end so that it fits, and when nobody: what keeps it from this node has to be room alone."""

import dataclasses

import pytest

from nodekit.objects import quantity
from nodekit.objects.meta import ObjectMeta
from nodekit.objects.node import Node, NodeSpec, NodeStatus, Taint
from pykubelet.act.admission import NodeAdmission
from pykubelet.decide.admission import Rejected
from pykubelet.model.container import Container, ContainerPort, ResourceRequirements
from pykubelet.model.pod import Pod, PodSecurityContext, PodSpec, Sysctl

PORT = ContainerPort(container_port=80, host_port=80)
NO_EXECUTE = Taint(key="k", effect="NoExecute")
SHUTDOWN = Rejected("NodeShutdown", "it goes down")


def pod(name: str, memory: str, *ports: ContainerPort, **spec: object) -> Pod:
    one = Container(name="a", resources=ResourceRequirements(requests={"memory": memory}), ports=ports)
    return Pod(metadata=ObjectMeta(name=name, uid=name), spec=PodSpec(**{"containers": (one,), **spec}))


def critical(*ports: ContainerPort, **spec: object) -> Pod:
    return pod("critical", "600Mi", *ports, priority=2_000_000_000, **spec)


@dataclasses.dataclass
class Around:
    """A node with 1 GiB on which these Pods are; of them `ending` are ending."""

    pods: tuple[Pod, ...] = (pod("other", "600Mi", PORT),)
    ending: tuple[str, ...] = ()
    taints: tuple[Taint, ...] = ()
    closed: Rejected | None = None

    def admission(self) -> NodeAdmission:
        allocatable = {"memory": quantity.parse("1Gi"), "pods": quantity.parse("9")}
        node = Node(spec=NodeSpec(taints=self.taints), status=NodeStatus(allocatable=allocatable))
        return NodeAdmission(
            node=lambda: node,
            active=lambda: self.pods,
            staying=lambda: [one for one in self.pods if one.metadata.name not in self.ending],
            closed=lambda: self.closed,
        )


@pytest.mark.parametrize(
    ("asked", "around", "reason", "victims"),
    [
        pytest.param(critical(), Around(), "OutOfmemory", ["other"], id="memory alone is missing"),
        pytest.param(critical(), Around(ending=("other",)), "OutOfmemory", [], id="who holds it is ending already"),
        pytest.param(pod("late", "600Mi"), Around(), "OutOfmemory", None, id="a Pod like others ends nobody"),
        pytest.param(critical(node_selector={"disk": "fast"}), Around(), "NodeAffinity", None, id="another node's Pod"),
        pytest.param(critical(), Around(taints=(NO_EXECUTE,)), "TaintToleration", None, id="a taint keeps it away"),
        pytest.param(critical(PORT), Around(), "NodePorts", None, id="somebody has its port"),
        pytest.param(
            critical(PORT), Around(ending=("other",)), "NodePorts", [], id="who has its port is ending already"
        ),
        pytest.param(
            critical(security_context=PodSecurityContext(sysctls=(Sysctl("kernel.msgmax", "1"),))),
            Around(),
            "SysctlForbidden",
            None,
            id="it sets what it may not set",
        ),
        pytest.param(critical(), Around(closed=SHUTDOWN), "NodeShutdown", None, id="the machine goes down"),
    ],
)
def test_room_for_a_pod_that_was_refused(asked: Pod, around: Around, reason: str, victims: list[str] | None) -> None:
    admission = around.admission()
    refused = admission.admit(asked)
    assert refused is not None
    assert refused.reason == reason
    room = admission.room_for(asked)
    assert (None if room is None else [one.metadata.name for one in room]) == victims
