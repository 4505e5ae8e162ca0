"""What is reported of the Node."""

import dataclasses
import datetime as dt

import msgspec
import pytest

from nodekit.objects import quantity
from nodekit.objects.meta import ObjectMeta
from nodekit.objects.node import Node, NodeAddress, NodeCondition, NodeStatus, NodeSystemInfo, Taint
from pykubelet.config.parts import Threshold
from pykubelet.decide import node_conditions, node_resources, node_status
from pykubelet.decide.node_status import NodeFacts, NodeSettings
from pykubelet.model import observed
from pykubelet.model.machine import Machine, Pressure

NOW = dt.datetime(2026, 11, 24, 11, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(minutes=1)
MACHINE = Machine(cores=2, memory=24689764 * 1024, boot_id="boot-1", machine_id="m", architecture="amd64")
SETTINGS = NodeSettings(name="n1", hostname="n1", version="v1.37.2+pykubelet.0.1.0")
RUNTIME = observed.RuntimeStatus(
    conditions=(), handlers=(observed.RuntimeHandler("runc"), observed.RuntimeHandler("")), features=frozenset()
)
FACTS = NodeFacts(machine=MACHINE, addresses=("198.18.0.11",), storage=100_000_000_000, runtime=RUNTIME)


def amounts(values: dict[str, quantity.Quantity]) -> dict[str, str]:
    return {name: str(amount) for name, amount in values.items()}


@pytest.mark.parametrize(
    ("reserved", "eviction", "left"),
    [
        pytest.param(
            {}, {}, {"cpu": "2", "memory": "24689764Ki", "pods": "110"}, id="nothing reserved: all of it is for Pods"
        ),
        pytest.param(
            {"cpu": "500m", "memory": "1Gi"},
            {"memory.available": "100Mi"},
            {"cpu": "1500m", "memory": "23538788Ki", "pods": "110"},
            id="what agents get and what must stay free is taken off",
        ),
        pytest.param({"cpu": "4"}, {}, {"cpu": "0", "memory": "24689764Ki", "pods": "110"}, id="never below nothing"),
        pytest.param(
            {},
            {"memory.available": "100%"},
            {"cpu": "2", "memory": "24689764Ki", "pods": "110"},
            id="100% turns it off",
        ),
    ],
)
def test_allocatable(reserved: dict[str, str], eviction: dict[str, str], left: dict[str, str]) -> None:
    whole = node_resources.capacity(MACHINE, storage=None, max_pods=110)
    agents = {name: quantity.parse(amount) for name, amount in reserved.items()}
    thresholds = {signal: Threshold.parse(text) for signal, text in eviction.items()}
    kept = node_resources.reserved(whole, for_agents=(agents,), eviction=thresholds)
    assert amounts(node_resources.allocatable(whole, kept)) == left


def test_a_percentage_is_rounded_as_the_genuine_kubelet_rounds_it() -> None:
    whole = node_resources.capacity(MACHINE, storage=103865303040, max_pods=110)
    kept = node_resources.reserved(whole, for_agents=(), eviction={"nodefs.available": Threshold.parse("10%")})
    # float32(10) / 100 is a little more than a tenth.
    assert kept["ephemeral-storage"].value == 10386530458


def test_huge_pages_are_no_memory_for_others() -> None:
    machine = dataclasses.replace(MACHINE, memory=8 << 30, huge_pages={2 << 20: 1 << 30})
    whole = node_resources.capacity(machine, storage=None, max_pods=110, pods_per_core=10)
    assert amounts(whole) == {"cpu": "2", "hugepages-2Mi": "1Gi", "memory": "8Gi", "pods": "20"}
    assert str(node_resources.allocatable(whole, {})["memory"]) == "7Gi"


def test_the_first_conditions_stand_as_on_a_genuine_node() -> None:
    verdict = node_conditions.of((), Pressure(), problems=(), now=NOW)
    assert [(c.type, c.status, c.reason, c.message) for c in verdict.conditions] == [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    assert verdict.events == ("NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID")


@pytest.mark.parametrize(
    ("pressure", "problems", "events", "message"),
    [
        pytest.param(Pressure(), (), (), "kubelet is posting ready status", id="nothing changed: nothing to tell"),
        pytest.param(Pressure(), ("no network",), ("NodeNotReady",), "no network", id="one problem is told as it is"),
        pytest.param(
            Pressure(),
            ("no network", "down", "down"),
            ("NodeNotReady",),
            "[no network, down]",
            id="several problems are told in brackets, each once",
        ),
        pytest.param(
            Pressure(memory=True),
            (),
            ("NodeHasInsufficientMemory",),
            "kubelet is posting ready status",
            id="a node short of memory is ready all the same",
        ),
    ],
)
def test_changes_are_told(pressure: Pressure, problems: tuple[str, ...], events: tuple[str, ...], message: str) -> None:
    first = node_conditions.of((), Pressure(), problems=(), now=NOW).conditions
    verdict = node_conditions.of(first, pressure, problems=problems, now=LATER)
    assert verdict.events == events
    assert verdict.conditions[-1].message == message
    moved = {c.type for c in verdict.conditions if c.last_transition_time == LATER}
    assert len(moved) == len(events)
    assert all(c.last_heartbeat_time == LATER for c in verdict.conditions)


def test_the_conditions_of_others_stay() -> None:
    theirs = NodeCondition(type="NetworkUnavailable", status="False", reason="RouteCreated", last_heartbeat_time=NOW)
    assert node_conditions.of((theirs,), Pressure(), problems=(), now=LATER).conditions[0] == theirs


def test_a_status_is_laid_over_what_others_wrote() -> None:
    previous = Node(
        status=NodeStatus(
            capacity={"example.com/gpu": quantity.parse("2"), "hugepages-1Gi": quantity.parse("1Gi")},
            node_info=NodeSystemInfo(kube_proxy_version="v1.30.0"),
        )
    )
    status = node_status.of(previous, SETTINGS, FACTS, now=NOW).node.status
    assert amounts(status.capacity) == {
        "example.com/gpu": "2",
        "cpu": "2",
        "ephemeral-storage": "100G",
        "memory": "24689764Ki",
        "pods": "110",
    }
    assert str(status.allocatable["example.com/gpu"]) == "2"
    assert status.node_info.kube_proxy_version == ""
    assert status.addresses == (
        NodeAddress(type="InternalIP", address="198.18.0.11"),
        NodeAddress(type="Hostname", address="n1"),
    )
    assert [handler.name for handler in status.runtime_handlers] == ["", "runc"]


def test_the_largest_images_are_shown_with_five_names_each() -> None:
    images = (
        observed.Image("a", repo_tags=("a:1",), size=1),
        observed.Image("b", repo_tags=tuple(f"b:{n}" for n in range(9)), repo_digests=("b@sha256:0",), size=2),
        observed.Image("c", repo_tags=("c:1",), size=1),
    )
    facts = dataclasses.replace(FACTS, images=images)
    shown = node_status.of(Node(), dataclasses.replace(SETTINGS, max_images=2), facts, now=NOW).node.status.images
    assert [image.names for image in shown] == [("b@sha256:0", "b:0", "b:1", "b:2", "b:3"), ("c:1",)]


def test_only_a_heartbeat_is_no_change() -> None:
    first = node_status.of(Node(), SETTINGS, FACTS, now=NOW).node
    second = node_status.of(first, SETTINGS, FACTS, now=LATER).node
    assert second != first
    assert not node_status.has_changed(first, second)
    third = node_status.of(first, SETTINGS, dataclasses.replace(FACTS, problems=("no network",)), now=LATER).node
    assert node_status.has_changed(first, third)


def test_a_reboot_is_known_by_the_boot_id() -> None:
    first = node_status.of(Node(), SETTINGS, FACTS, now=NOW).node
    assert not node_status.has_rebooted(Node(), MACHINE)
    assert not node_status.has_rebooted(first, MACHINE)
    assert node_status.has_rebooted(first, dataclasses.replace(MACHINE, boot_id="boot-2"))


@pytest.mark.parametrize(
    ("starting", "labels"),
    [
        pytest.param(True, {"kubernetes.io/hostname": "n1", "mine": "x"}, id="at start the hostname is put right"),
        pytest.param(False, {"kubernetes.io/hostname": "other", "mine": "x"}, id="later only the OS and architecture"),
    ],
)
def test_labels_of_a_node_that_is_there(starting: bool, labels: dict[str, str]) -> None:
    there = Node(metadata=ObjectMeta(name="n1", labels={"kubernetes.io/hostname": "other", "mine": "x"}))
    found = node_status.reconciled(there, SETTINGS, MACHINE, starting=starting).metadata.labels
    assert labels.items() <= found.items()
    assert found["kubernetes.io/os"] == "linux"
    assert found["kubernetes.io/arch"] == "amd64"


def test_a_new_node_has_the_labels_and_taints_it_is_told_to_have() -> None:
    settings = dataclasses.replace(SETTINGS, labels={"disk": "ssd"})
    made = node_status.registered(settings, MACHINE)
    assert made.metadata.labels == {
        "kubernetes.io/hostname": "n1",
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": "amd64",
        "disk": "ssd",
    }
    assert made.metadata.annotations == {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
    assert msgspec.structs.asdict(made.spec)["taints"] == ()


CLOUD = dataclasses.replace(SETTINGS, external_cloud=True)
HOSTNAME = NodeAddress(type="Hostname", address="n1")
OWN = NodeAddress(type="InternalIP", address="198.18.0.11")
THEIRS = (NodeAddress(type="InternalIP", address="198.18.9.9"), NodeAddress(type="ExternalDNS", address="n1.example"))


@pytest.mark.parametrize(
    ("node_ips", "known", "told", "annotation"),
    [
        pytest.param((), (), (HOSTNAME,), None, id="none is made up for the cloud"),
        pytest.param(("198.18.0.11",), (), (OWN, HOSTNAME), "198.18.0.11", id="one that is given stands until then"),
        pytest.param(("198.18.0.11", "fd00::b"), (), (OWN, HOSTNAME), "198.18.0.11,fd00::b", id="both families"),
        pytest.param(("0.0.0.0",), (), (OWN, HOSTNAME), None, id="one that only says the family is found, not told"),
        pytest.param(("198.18.0.11",), THEIRS, THEIRS, "198.18.0.11", id="the cloud's own win"),
    ],
)
def test_an_external_cloud_has_the_word_on_addresses(
    node_ips: tuple[str, ...], known: tuple[NodeAddress, ...], told: tuple[NodeAddress, ...], annotation: str | None
) -> None:
    settings = dataclasses.replace(CLOUD, node_ips=node_ips)
    previous = Node(metadata=ObjectMeta(name="n1"), status=NodeStatus(addresses=known))
    base = node_status.reconciled(previous, settings, MACHINE, starting=False)
    made = node_status.of(base, settings, FACTS, now=NOW).node
    assert made.status.addresses == told
    assert made.metadata.annotations.get(node_status.PROVIDED_IP) == annotation


def test_an_external_cloud_has_a_new_node_kept_free_of_pods() -> None:
    taints = (Taint(key="a", value="b", effect="NoExecute"),)
    made = node_status.registered(dataclasses.replace(CLOUD, taints=taints, node_ips=("198.18.0.11",)), MACHINE)
    assert made.spec.taints == (*taints, node_status.UNINITIALIZED)
    assert made.metadata.annotations[node_status.PROVIDED_IP] == "198.18.0.11"


def test_the_annotation_for_a_cloud_goes_when_there_is_none_any_more() -> None:
    made = node_status.registered(dataclasses.replace(CLOUD, node_ips=("198.18.0.11",)), MACHINE)
    again = node_status.reconciled(made, SETTINGS, MACHINE, starting=False)
    assert node_status.PROVIDED_IP not in again.metadata.annotations
    assert again.spec.taints == made.spec.taints  # whoever set it up takes it off
