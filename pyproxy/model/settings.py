"""What the agent runs with, whatever file or flag it came from."""

import enum
from dataclasses import dataclass

from pyproxy.model.address import Prefix


class DetectLocal(enum.Enum):
    """How a packet from one of this node's Pods is told from others: DetectLocalMode of the API."""

    CLUSTER_CIDR = "ClusterCIDR"
    NODE_CIDR = "NodeCIDR"
    BRIDGE_INTERFACE = "BridgeInterface"
    INTERFACE_NAME_PREFIX = "InterfaceNamePrefix"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the loops need to know of the configuration.

    `node_ports` holds the prefixes of addresses that answer NodePorts; None means the node's own (primary) ones, an
    empty tuple all of them. Empty bind addresses mean that server is not wanted.
    """

    node: str
    kubeconfig: str = ""
    masquerade_bit: int = 14
    masquerade_all: bool = False
    detect_local: DetectLocal = DetectLocal.CLUSTER_CIDR
    cluster_cidrs: tuple[Prefix, ...] = ()
    interface: str = ""
    node_ports: tuple[Prefix, ...] | None = None
    healthz_bind: str = "0.0.0.0:10256"
    metrics_bind: str = "127.0.0.1:10249"
    sync_period: float = 30.0
    min_sync_period: float = 0.005
