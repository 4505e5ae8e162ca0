"""Whether a Pod that was bound to this node can run on it."""

import pytest

from nodekit.objects import quantity
from nodekit.objects.meta import ObjectMeta
from nodekit.objects.node import Node, NodeSpec, NodeStatus, Taint
from pykubelet.decide import admission
from pykubelet.model.container import Container, ContainerPort, ResourceRequirements
from pykubelet.model.pod import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PodOS,
    PodSecurityContext,
    PodSpec,
    Toleration,
)
from tests.unit.pykubelet.decide import pods

ALLOCATABLE = {"cpu": "2", "memory": "4Gi", "pods": "3", "example.org/gpu": "1"}


def node(*taints: Taint, **labels: str) -> Node:
    amounts = {name: quantity.parse(text) for name, text in ALLOCATABLE.items()}
    return Node(
        metadata=ObjectMeta(name="n1", labels=labels),
        spec=NodeSpec(taints=taints),
        status=NodeStatus(allocatable=amounts),
    )


def pod(requests: dict[str, str] | None = None, *ports: ContainerPort, **spec: object) -> Pod:
    container = Container(name="a", resources=ResourceRequirements(requests=requests or {}), ports=ports)
    return Pod(spec=PodSpec(**{"containers": (container,), "node_name": "n1", **spec}))


def selecting(key: str, operator: str, *values: str) -> Affinity:
    term = NodeSelectorTerm(match_expressions=(NodeSelectorRequirement(key=key, operator=operator, values=values),))
    return Affinity(node_affinity=NodeAffinity(required=NodeSelector(node_selector_terms=(term,))))


PORT = ContainerPort(container_port=80, host_port=80)
OTHER_IP = ContainerPort(container_port=80, host_port=80, host_ip="192.0.2.1")
UDP = ContainerPort(container_port=80, host_port=80, protocol="UDP")
NO_EXECUTE = Taint(key="k", value="v", effect="NoExecute")


@pytest.mark.parametrize(
    ("asked", "here", "others"),
    [
        pytest.param(pod(), node(), [], id="a Pod that asks for nothing"),
        pytest.param(pod({"cpu": "2", "memory": "4Gi"}), node(), [], id="one that takes all"),
        pytest.param(pod({"example.com/other": "1"}), node(), [], id="one that asks for what only the cluster knows"),
        pytest.param(pod(None, UDP), node(), [pod(None, PORT)], id="the same port of another protocol"),
        pytest.param(pod(None, tolerations=(Toleration(operator="Exists"),)), node(NO_EXECUTE), [], id="tolerates all"),
        pytest.param(
            pod(None, tolerations=(Toleration(key="k", value="v"),)), node(NO_EXECUTE), [], id="tolerates the taint"
        ),
        pytest.param(pod(), node(Taint(key="k", effect="NoSchedule")), [], id="a taint for the scheduler alone"),
        pytest.param(pod(None, affinity=selecting("z", "In", "a", "b")), node(z="b"), [], id="affinity: one of"),
        pytest.param(pod(None, affinity=selecting("z", "NotIn", "a")), node(), [], id="affinity: none of"),
        pytest.param(pod(None, affinity=selecting("z", "Gt", "4")), node(z="5"), [], id="affinity: more than"),
    ],
)
def test_admitted(asked: Pod, here: Node, others: list[Pod]) -> None:
    assert admission.of(asked, here, others) is None


@pytest.mark.parametrize(
    ("asked", "here", "others", "reason", "message"),
    [
        pytest.param(
            pod({"cpu": "1500m"}),
            node(),
            [pod({"cpu": "1"})],
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000",
            id="not enough cores",
        ),
        pytest.param(
            pod({"memory": "5Gi"}),
            node(),
            [],
            "OutOfmemory",
            "Node didn't have enough resource: memory, requested: 5368709120, used: 0, capacity: 4294967296",
            id="not enough memory",
        ),
        pytest.param(
            pod(),
            node(),
            [pod(), pod(), pod()],
            "OutOfpods",
            "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
            id="too many Pods",
        ),
        pytest.param(
            pod({"example.org/gpu": "2"}),
            node(),
            [],
            "OutOfexample.org/gpu",
            "Node didn't have enough resource: example.org/gpu, requested: 2, used: 0, capacity: 1",
            id="not enough of an extended resource",
        ),
        pytest.param(
            pod(None, node_selector={"disk": "ssd"}),
            node(disk="hdd"),
            [],
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
            id="another label than selected",
        ),
        pytest.param(
            pod(None, affinity=selecting("z", "Exists")),
            node(),
            [],
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
            id="affinity to a label that is not there",
        ),
        pytest.param(
            pod(None, node_name="n2"),
            node(),
            [],
            "NodeName",
            "Predicate NodeName failed: node(s) didn't match the requested node name",
            id="meant for another node",
        ),
        pytest.param(
            pod(None, OTHER_IP),
            node(),
            [pod(None, PORT)],
            "NodePorts",
            "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
            id="a port that another has on all addresses",
        ),
        pytest.param(
            pod(),
            node(NO_EXECUTE),
            [],
            "TaintToleration",
            "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
            id="a taint that evicts",
        ),
        pytest.param(
            pod(None, os=PodOS(name="windows")),
            node(),
            [],
            "PodOSNotSupported",
            "Failed to admit pod as the OS field doesn't match node OS",
            id="another operating system",
        ),
        pytest.param(
            pod(None, security_context=PodSecurityContext(supplemental_groups_policy="Strict")),
            node(),
            [],
            "SupplementalGroupsPolicyNotSupported",
            "SupplementalGroupsPolicy=Strict is not supported in this node",
            id="a policy the runtime does not know",
        ),
    ],
)
def test_rejected(asked: Pod, here: Node, others: list[Pod], reason: str, message: str) -> None:
    found = admission.of(asked, here, others)
    assert found is not None
    assert (found.reason, found.message) == (reason, message)


def test_a_static_pod_ignores_taints() -> None:
    assert admission.of(pod(), node(NO_EXECUTE), [], is_static=True) is None


@pytest.mark.parametrize(
    ("of_pod", "of_container", "apparmor", "refused"),
    [
        pytest.param(None, None, False, False, id="who asks for none may run"),
        pytest.param("RuntimeDefault", None, False, True, id="a profile that cannot be enforced keeps it away"),
        pytest.param("Unconfined", None, False, False, id="to be unconfined needs nothing"),
        pytest.param("RuntimeDefault", "Unconfined", False, False, id="a container's own word counts"),
        pytest.param("Unconfined", "Localhost", False, True, id="either way"),
        pytest.param("RuntimeDefault", None, True, False, id="where it can be enforced it may run"),
    ],
)
def test_apparmor_profiles_need_apparmor(
    of_pod: str | None, of_container: str | None, apparmor: bool, refused: bool
) -> None:
    own = {"securityContext": {"appArmorProfile": {"type": of_container}}} if of_container else {}
    whole = {"securityContext": {"appArmorProfile": {"type": of_pod}}} if of_pod else {}
    found = admission.confinement(pods.pod(own, **whole), apparmor=apparmor)
    assert (found is not None) == refused
    if found is not None:
        assert (found.reason, found.message) == (
            "AppArmor",
            "Cannot enforce AppArmor: AppArmor is not enabled on the host",
        )
