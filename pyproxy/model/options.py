"""What the agent runs with, whatever file or flag it came from. No I/O."""

import enum
from dataclasses import dataclass

from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.ruleset import Counting


class Mode(enum.Enum):
    """What holds the rules: ProxyMode of the API."""

    NFTABLES = "nftables"
    IPTABLES = "iptables"


class DetectLocal(enum.Enum):
    """How a packet from one of this node's Pods is told from others: DetectLocalMode of the API."""

    CLUSTER_CIDR = "ClusterCIDR"
    NODE_CIDR = "NodeCIDR"
    BRIDGE_INTERFACE = "BridgeInterface"
    INTERFACE_NAME_PREFIX = "InterfaceNamePrefix"


@dataclass(frozen=True, slots=True)
class NodePorts:
    """Which of the machine's addresses answer NodePorts: the Node's own, those in the prefixes; in the families that
    `everywhere` names, all but loopback. In the iptables mode `loopback` adds what these hold of 127.0.0.0/8.
    """

    primary: bool = True
    everywhere: frozenset[Family] = frozenset()
    prefixes: tuple[Prefix, ...] = ()
    loopback: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """What the loops need to know of the configuration. Durations are seconds; an empty kubeconfig means a Pod's."""

    node: str
    mode: Mode = Mode.NFTABLES
    kubeconfig: str = ""
    server: str = ""
    bind_address: Address | None = None
    masquerade_bit: int = 14
    masquerade_all: bool = False
    detect_local: DetectLocal = DetectLocal.CLUSTER_CIDR
    cluster_cidrs: tuple[Prefix, ...] = ()
    interface: str = ""
    node_ports: NodePorts = NodePorts()
    healthz_bind: str = "0.0.0.0:10256"
    metrics_bind: str = "127.0.0.1:10249"
    bind_hard_fail: bool = False
    sync_period: float = 30.0
    min_sync_period: float = 0.005
    counting: Counting = Counting.NOTHING
    drop_invalid: bool = True
