"""What the downward API says of a Pod: fields and resources, for environments and volumes. No I/O.

Source: pkg/fieldpath, pkg/api/v1/resource (ExtractContainerResourceValue, MergeContainerResourceLimits).
"""

import dataclasses
import re

from nodekit.objects import quantity
from nodekit.objects.quantity import Quantity
from pykubelet.decide import node_resources, resources
from pykubelet.model.container import Container, ResourceFieldSelector
from pykubelet.model.pod import Pod

_SHARED = (resources.CPU, resources.MEMORY, node_resources.EPHEMERAL)
"""What a container without a limit takes of what there is around it."""
_SUBSCRIPT = re.compile(r"^(metadata\.(?:annotations|labels))\['(.*)'\]$")


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What a Pod object does not say: the Pod's addresses, the node's, and what the node can give to Pods."""

    pod_ips: tuple[str, ...] = ()
    host_ips: tuple[str, ...] = ()
    allocatable: dict[str, Quantity] = dataclasses.field(default_factory=dict)


def field(pod: Pod, path: str, facts: Facts) -> str:
    """The value at a field path (`metadata.labels['app']`, `status.podIP`). ValueError when there is no such path."""
    meta = pod.metadata
    if match := _SUBSCRIPT.match(path):
        return (meta.labels if match[1].endswith("labels") else meta.annotations).get(match[2], "")
    plain = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": next(iter(facts.host_ips), ""),
        "status.hostIPs": ",".join(facts.host_ips),
        "status.podIP": next(iter(facts.pod_ips), ""),
        "status.podIPs": ",".join(facts.pod_ips),
    }
    if path in plain:
        return plain[path]
    if path == "metadata.labels":
        return _map(meta.labels)
    if path == "metadata.annotations":
        return _map(meta.annotations)
    raise ValueError(f"unsupported fieldPath: {path}")


def resource(pod: Pod, container: Container, selector: ResourceFieldSelector, facts: Facts) -> str:
    """A request or limit of a container, in units of the divisor, rounded up. ValueError for an unknown resource.

    A limit of CPU, memory or local storage that is not set is the Pod's, or else the node's allocatable.
    """
    if selector.container_name:
        container = _named(pod, selector.container_name)
    kind, _, name = selector.resource.partition(".")
    if kind not in ("limits", "requests") or not name:
        raise ValueError(f"unsupported container resource : {selector.resource}")
    limits, requests = (resources.amounts(x) for x in (container.resources.limits, container.resources.requests))
    asked = (limits if kind == "limits" else requests).get(name)
    amount = asked or (_around(pod, name, facts) if kind == "limits" else resources.ZERO)
    divisor = quantity.parse(selector.divisor or "0") or Quantity.of(1)
    if name == resources.CPU:
        return str(_up(amount.milli, divisor.milli))
    return str(_up(amount.value, divisor.value))


def _around(pod: Pod, name: str, facts: Facts) -> Quantity:
    """What a container without a limit can have. Huge pages without a limit are none."""
    if name not in _SHARED:
        return resources.ZERO
    of_pod = resources.amounts(pod.spec.resources.limits).get(name) if pod.spec.resources else None
    return of_pod or facts.allocatable.get(name, resources.ZERO)


def _named(pod: Pod, name: str) -> Container:
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        if container.name == name:
            return container
    raise ValueError(f"container {name} not found")


def _map(values: dict[str, str]) -> str:
    return "\n".join(f"{name}={_quoted(value)}" for name, value in sorted(values.items()))


def _quoted(text: str) -> str:
    """A Go string literal, as %q prints it."""
    out = []
    short = {
        '"': '\\"',
        "\\": "\\\\",
        "\n": "\\n",
        "\t": "\\t",
        "\r": "\\r",
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\v": "\\v",
    }
    for char in text:
        if char in short:
            out.append(short[char])
        elif char.isprintable():
            out.append(char)
        else:
            code = ord(char)
            out.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return f'"{"".join(out)}"'


def _up(amount: int, divisor: int) -> int:
    return -(-amount // max(1, divisor))
