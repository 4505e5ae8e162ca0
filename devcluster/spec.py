"""What cluster is wanted: plain data, its addresses, and how it is written on the command line. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from devcluster.errors import DevClusterError

NAME = re.compile(r"[a-z][a-z0-9-]{0,14}")
DOMAIN = "cluster.local"
API_PORT = 6443
REGISTRY_PORT = 5000
MAX_NODES = 99
MAX_API_SERVERS = 3


class Agent(StrEnum):
    """Whose kubelet or kube-proxy a node runs."""

    OURS = "ours"
    GENUINE = "genuine"
    NONE = "none"


class Family(StrEnum):
    """Which IP families the cluster has; the first is the primary one."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"
    DUAL = "dual"

    @property
    def v4(self) -> bool:
        return self is not Family.IPV6

    @property
    def v6(self) -> bool:
        return self is not Family.IPV4


class ProxyMode(StrEnum):
    """What every node's kube-proxy, ours or genuine, holds its rules in."""

    NFTABLES = "nftables"
    IPTABLES = "iptables"


class Net(msgspec.Struct, frozen=True):
    """The address plan of one IP family: prefixes to which a number is appended."""

    hosts: str
    host_bits: int
    pods: str
    services: str
    dns: str

    def control_plane(self, index: int = 1) -> str:
        """Address of the index-th API server (1..3); the first also carries etcd, DNS and the registry."""
        return f"{self.hosts}{index}"

    @property
    def balancer(self) -> str:
        """The address in front of several API servers."""
        return f"{self.hosts}9"

    @property
    def gateway(self) -> str:
        """Next hop of every default route. Nobody owns it: the cluster has no uplink."""
        return f"{self.hosts}{'fe' if ':' in self.hosts else '254'}"

    def node(self, index: int) -> str:
        return f"{self.hosts}{index + 10}"

    def node_pods(self, index: int) -> str:
        """The CIDR of the Pods on the index-th node."""
        return f"fd00:19:{index}::/64" if ":" in self.hosts else f"198.19.{index}.0/24"


V4 = Net(hosts="198.18.0.", host_bits=24, pods="198.19.0.0/16", services="198.18.64.0/18", dns="198.18.64.10")
V6 = Net(hosts="fd00:18::", host_bits=64, pods="fd00:19::/32", services="fd00:64::/112", dns="fd00:64::a")


class NodeSpec(msgspec.Struct, frozen=True):
    """One node and whose agents it runs."""

    name: str
    kubelet: Agent = Agent.OURS
    proxy: Agent = Agent.OURS

    @property
    def index(self) -> int:
        """The number in the name: n2 -> 2. Addresses follow from it."""
        return int(self.name[1:])


class ClusterSpec(msgspec.Struct, frozen=True):
    """A whole cluster. `binaries` is the user's folder of genuine binaries, or empty."""

    name: str = "dev"
    nodes: tuple[NodeSpec, ...] = (NodeSpec("n1"), NodeSpec("n2"))
    api_servers: int = 1
    family: Family = Family.IPV4
    binaries: str = ""
    proxy_mode: ProxyMode = ProxyMode.NFTABLES

    @property
    def nets(self) -> tuple[Net, ...]:
        """Address plans, primary first."""
        return tuple(net for net, used in ((V4, self.family.v4), (V6, self.family.v6)) if used)

    @property
    def primary(self) -> Net:
        return self.nets[0]

    @property
    def api_host(self) -> str:
        """The address every client of the API dials."""
        return self.primary.balancer if self.api_servers > 1 else self.primary.control_plane()

    @property
    def api_url(self) -> str:
        return f"https://{url_host(self.api_host)}:{API_PORT}"

    @property
    def registry(self) -> str:
        """host:port of the image registry, as nodes reach it."""
        return f"{url_host(self.primary.control_plane())}:{REGISTRY_PORT}"

    def node(self, name: str) -> NodeSpec:
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes)
        raise DevClusterError(f"node {name}", f"cluster {self.name} has no such node; it has {known or 'none'}")

    @property
    def names(self) -> frozenset[str]:
        """The nodes' names."""
        return frozenset(node.name for node in self.nodes)

    def with_node(self, changed: NodeSpec) -> ClusterSpec:
        """The same cluster with this node added, or put in place of the one of its name."""
        nodes = [node for node in self.nodes if node.name != changed.name] + [changed]
        return msgspec.structs.replace(self, nodes=tuple(sorted(nodes, key=lambda node: node.index)))

    def without_node(self, name: str) -> ClusterSpec:
        self.node(name)
        return msgspec.structs.replace(self, nodes=tuple(node for node in self.nodes if node.name != name))


_KINDS: dict[str, tuple[Agent, Agent]] = {
    "ours": (Agent.OURS, Agent.OURS),
    "genuine": (Agent.GENUINE, Agent.GENUINE),
    "genuine-kubelet": (Agent.GENUINE, Agent.OURS),
    "genuine-proxy": (Agent.OURS, Agent.GENUINE),
    "bare": (Agent.NONE, Agent.NONE),
    "no-kubelet": (Agent.NONE, Agent.OURS),
    "no-proxy": (Agent.OURS, Agent.NONE),
    "genuine-kubelet-only": (Agent.GENUINE, Agent.NONE),
}
NODE_KINDS = tuple(_KINDS)


def parse_node(text: str) -> NodeSpec:
    """`n2` or `n2=genuine-proxy` as a NodeSpec; DevClusterError says what was expected."""
    name, _, kind = text.partition("=")
    if not re.fullmatch(r"n[1-9][0-9]?", name):
        raise DevClusterError(f"--node {text}", f"a node is named n1 to n{MAX_NODES}, not {name!r}")
    if (kind or "ours") not in _KINDS:
        raise DevClusterError(f"--node {text}", f"{kind!r} is none of {', '.join(_KINDS)}")
    kubelet, proxy = _KINDS[kind or "ours"]
    return NodeSpec(name, kubelet, proxy)


def kind_of(node: NodeSpec) -> str:
    """The word for a node's pair of agents, as parse_node reads it."""
    pair = (node.kubelet, node.proxy)
    return next((kind for kind, agents in _KINDS.items() if agents == pair), f"{node.kubelet}/{node.proxy}")


def nodes_of(count: int, chosen: tuple[NodeSpec, ...]) -> tuple[NodeSpec, ...]:
    """n1..n<count>, with the chosen ones in place of the default ones (and added when their number is higher)."""
    if not 0 <= count <= MAX_NODES:
        raise DevClusterError("--nodes", f"{count} is not between 0 and {MAX_NODES}")
    nodes = {f"n{index}": NodeSpec(f"n{index}") for index in range(1, count + 1)}
    nodes.update({node.name: node for node in chosen})
    return tuple(sorted(nodes.values(), key=lambda node: node.index))


def chosen(there: tuple[NodeSpec, ...], count: int | None, changed: Sequence[NodeSpec]) -> tuple[NodeSpec, ...]:
    """The nodes there are, or the first `count`, new ones among them; the changed ones in place of those."""
    if count is None:
        return nodes_of(0, (*there, *changed))
    kept = tuple(node for node in there if node.index <= count)
    return nodes_of(count, (*kept, *changed))


def check_name(name: str) -> str:
    """The cluster's name if namespaces, cgroups and folders may be named by it."""
    if not NAME.fullmatch(name):
        raise DevClusterError("--name", f"{name!r} must be 1 to 15 of a-z, 0-9 and -, beginning with a letter")
    return name


def url_host(address: str) -> str:
    """An address as it stands in a URL or host:port."""
    return f"[{address}]" if ":" in address else address
