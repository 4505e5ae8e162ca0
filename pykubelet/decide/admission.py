"""Decide whether a Pod that was bound to this node can run on it. No I/O.

The scheduler has judged already, but static Pods and Pods with spec.nodeName never saw it, and two schedulers may have
chosen at once. Reasons and messages are those of K/pkg/kubelet/lifecycle/predicate.go, which controllers match on.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from nodekit.objects import quantity
from nodekit.objects.node import Node
from nodekit.objects.quantity import Quantity
from pykubelet.decide import critical, node_affinity, resources, security, tolerations
from pykubelet.model.pod import Pod

_OS_LABEL = "kubernetes.io/os"
_OS = "linux"


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """`reason` is one word for the Pod's status, `message` prose."""

    reason: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Shortage(Rejected):
    """There is not enough of a resource: ending Pods of less importance may help.

    Amounts are thousandths of a core for `cpu`, whole units for the others.
    """

    resource: str
    requested: int
    used: int
    capacity: int

    @property
    def missing(self) -> int:
        """How much would have to be freed."""
        return self.requested - (self.capacity - self.used)


def confinement(pod: Pod, *, apparmor: bool) -> Rejected | None:
    """Why a Pod that asks for an AppArmor profile cannot run on a machine without AppArmor.

    Source: K/pkg/security/apparmor/validate.go.
    """
    if apparmor:
        return None
    for container in (*pod.spec.init_containers, *pod.spec.containers, *pod.spec.ephemeral_containers):
        profile = security.apparmor_of(pod, container)
        if profile is not None and profile.type != "Unconfined":
            return Rejected("AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host")
    return None


def of(pod: Pod, node: Node, others: Iterable[Pod], *, is_static: bool = False) -> Rejected | None:
    """Why the Pod cannot run here; None if it can. `others` are the Pods that were admitted and have not ended.

    Of a critical Pod a shortage is told last: others may make room for it, unless there is another reason.
    """
    found = _unsupported(pod, node)
    if found is not None:
        return found
    around = tuple(others)
    shortage = next(iter(lacking(pod, node, around)), None)
    if shortage is not None and not critical.is_critical(pod):
        return shortage
    return _misplaced(pod, node, around, is_static=is_static) or shortage


def unfit(pod: Pod, node: Node, others: Iterable[Pod], *, is_static: bool = False) -> Rejected | None:
    """Why the Pod could not run here beside these others even if there were enough of everything; None if it could."""
    return _unsupported(pod, node) or _misplaced(pod, node, tuple(others), is_static=is_static)


def with_devices(node: Node, taken: Mapping[str, int]) -> Node:
    """The Node without limits on resources of which the Pod has been given devices: it has them whatever is told now.

    Source: sanitizeNodeAllocatable in K/pkg/kubelet/cm/devicemanager.
    """
    if not taken:
        return node
    allocatable = {name: amount for name, amount in node.status.allocatable.items() if name not in taken}
    return msgspec.structs.replace(node, status=msgspec.structs.replace(node.status, allocatable=allocatable))


def lacking(pod: Pod, node: Node, others: tuple[Pod, ...]) -> tuple[Shortage, ...]:
    """Every resource there is not enough of for one more Pod."""
    return tuple(_shortages(pod, node, others))


def _unsupported(pod: Pod, node: Node) -> Rejected | None:
    # What no other Pod's end would change.
    if pod.metadata.labels.get(_OS_LABEL, _OS) != _OS:
        return Rejected(
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        )
    if pod.spec.os is not None and pod.spec.os.name != _OS:
        return Rejected("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    strict = pod.spec.security_context.supplemental_groups_policy == "Strict"
    features = node.status.features
    if strict and not (features is not None and features.supplemental_groups_policy):
        return Rejected(
            "SupplementalGroupsPolicyNotSupported", "SupplementalGroupsPolicy=Strict is not supported in this node"
        )
    return None


def _misplaced(pod: Pod, node: Node, others: tuple[Pod, ...], *, is_static: bool) -> Rejected | None:
    if not node_affinity.matches(pod, node):
        return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    if pod.spec.node_name and pod.spec.node_name != node.metadata.name:
        return _predicate("NodeName", "node(s) didn't match the requested node name")
    if _port_conflict(pod, others):
        return _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    taint = tolerations.untolerated(node.spec.taints, pod.spec.tolerations, effect="NoExecute")
    if taint is not None and not is_static:
        return _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")
    return None


def _predicate(name: str, message: str) -> Rejected:
    return Rejected(name, f"Predicate {name} failed: {message}")


def _shortages(pod: Pod, node: Node, others: tuple[Pod, ...]) -> Iterator[Shortage]:
    allocatable = node.status.allocatable
    most_pods = allocatable.get("pods", Quantity.of(0)).value
    if len(others) + 1 > most_pods:
        yield _shortage("pods", requested=1, used=len(others), capacity=most_pods)
    asked = resources.pod_requests(pod)
    # Of a Pod that asks for nothing the others need not be looked at.
    taken = [resources.pod_requests(other) for other in others] if asked else []
    for name, wanted in asked.items():
        if not wanted or (_is_extended(name) and name not in allocatable):
            # An extended resource that this node does not know may be one of the whole cluster.
            continue
        used = sum((one.get(name, resources.ZERO).nanos for one in taken), 0)
        capacity = allocatable.get(name, resources.ZERO)
        if wanted.nanos > capacity.nanos - used:
            yield _shortage(
                name,
                requested=_unit(name, wanted),
                used=_unit(name, Quantity(used, quantity.Form.DECIMAL_SI)),
                capacity=_unit(name, capacity),
            )


def _shortage(name: str, *, requested: int, used: int, capacity: int) -> Shortage:
    message = f"Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
    return Shortage(f"OutOf{name}", message, name, requested, used, capacity)


def _unit(name: str, amount: Quantity) -> int:
    return amount.milli if name == resources.CPU else amount.value


def _is_extended(name: str) -> bool:
    domain, slash, _ = name.partition("/")
    return bool(slash) and domain != "kubernetes.io" and not domain.endswith(".kubernetes.io")


def _port_conflict(pod: Pod, others: tuple[Pod, ...]) -> bool:
    asked = tuple(_host_ports(pod))
    return bool(asked) and any(
        _clashes(port, taken) for other in others for taken in _host_ports(other) for port in asked
    )


def _host_ports(pod: Pod) -> Iterator[tuple[str, str, int]]:
    # Init containers count only if they run beside the regular ones.
    kept = (c for c in pod.spec.init_containers if resources.is_sidecar(c))
    for container in (*pod.spec.containers, *kept):
        for port in container.ports:
            # On the host network every port is a host port; the API server fills it in, a static file may not.
            number = port.host_port or (port.container_port if pod.spec.host_network else 0)
            if number > 0:
                yield port.host_ip or "0.0.0.0", port.protocol, number


def _clashes(a: tuple[str, str, int], b: tuple[str, str, int]) -> bool:
    return a[1:] == b[1:] and (a[0] == b[0] or "0.0.0.0" in (a[0], b[0]))
