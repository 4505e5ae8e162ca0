"""Decide whether a node is one that a Pod asks for by its labels or its name. No I/O.

Source: core/v1 NodeSelector: terms are alternatives, the requirements of one term hold together.
"""

from collections.abc import Mapping

from nodekit.objects.node import Node
from pykubelet.model.pod import NodeSelectorRequirement, NodeSelectorTerm, Pod


def matches(pod: Pod, node: Node) -> bool:
    """Whether the node has all labels of the Pod's nodeSelector and satisfies its required node affinity."""
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in pod.spec.node_selector.items()):
        return False
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None
    if affinity is None or affinity.required is None:
        return True
    return any(_matches_term(term, node) for term in affinity.required.node_selector_terms)


def _matches_term(term: NodeSelectorTerm, node: Node) -> bool:
    if not term.match_expressions and not term.match_fields:
        return False
    fields = {"metadata.name": node.metadata.name}
    return all(_satisfies(node.metadata.labels, one) for one in term.match_expressions) and all(
        _satisfies(fields, one) for one in term.match_fields
    )


def _satisfies(labels: Mapping[str, str], required: NodeSelectorRequirement) -> bool:
    value = labels.get(required.key)
    match required.operator:
        case "In":
            return value in required.values
        case "NotIn":
            return value not in required.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compares(value, required)
        case _:
            return False


def _compares(value: str | None, required: NodeSelectorRequirement) -> bool:
    try:
        has, wants = int(value or ""), int(required.values[0])
    except (ValueError, IndexError):
        return False
    return has > wants if required.operator == "Gt" else has < wants
