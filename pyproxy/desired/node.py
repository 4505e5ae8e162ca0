"""Watch this node's own object: its zone, its Pod CIDRs, its addresses, and whether it is about to go."""

from dataclasses import dataclass
from typing import Final

from nodekit.kube import watch
from nodekit.kube.client import Client, Selection
from nodekit.objects import node
from pyproxy.model import address as addresses
from pyproxy.model.address import Address, Family, Prefix

ZONE_LABEL: Final = "topology.kubernetes.io/zone"
LEAVING_TAINT: Final = "ToBeDeletedByClusterAutoscaler"


@dataclass(frozen=True, slots=True)
class Self:
    """What the proxy needs to know of its node."""

    uid: str
    zone: str
    ips: tuple[Address, ...]
    pod_cidrs: tuple[Prefix, ...]
    eligible: bool

    def ip(self, family: Family) -> Address | None:
        """The node's first address of a family."""
        return next((ip for ip in self.ips if len(ip) == family.value), None)


def reflector(client: Client, name: str) -> watch.Reflector[node.Node, Self]:
    """The one node of that name."""
    return watch.Reflector(client, node.NODES, keep=_keep, selection=Selection(fields=f"metadata.name={name}"))


def _keep(found: node.Node) -> Self:
    spec, labels = found.spec, found.metadata.labels
    # InternalIPs come before ExternalIPs, as the kubelet's own choice of a node's IP does.
    ordered = sorted(
        (a for a in found.status.addresses if a.type in ("InternalIP", "ExternalIP")),
        key=lambda a: a.type == "ExternalIP",
    )
    parsed = (addresses.parse(a.address) for a in ordered)
    cidrs = (addresses.parse_prefix(c) for c in (spec.pod_cidrs or ((spec.pod_cidr,) if spec.pod_cidr else ())))
    leaving = any(taint.key == LEAVING_TAINT for taint in spec.taints)
    return Self(
        uid=found.metadata.uid,
        zone=labels.get(ZONE_LABEL, ""),
        ips=tuple(ip for ip in parsed if ip is not None),
        pod_cidrs=tuple(cidr for cidr in cidrs if cidr is not None),
        eligible=found.metadata.deletion_timestamp is None and not leaving,
    )
