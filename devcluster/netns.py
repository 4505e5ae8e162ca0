"""Network namespaces: one for each node and the control plane, tied together by a bridge in one of its own.

    <name>-cp eth0 --\
    <name>-n1 eth0 ---- br0 in <name>-net        no uplink anywhere
    <name>-n2 eth0 --/
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Iterable
from pathlib import Path

from devcluster import shell
from devcluster.errors import DevClusterError
from devcluster.layout import Layout
from devcluster.spec import API_PORT, ClusterSpec, NodeSpec

FOLDER = Path("/run/netns")
BRIDGE = "net"
CONTROL_PLANE = "cp"
_CLONE_NEWNET = 0x40000000
_DROP_TABLE = "devcluster_cut"
_MEMBER_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/route_localnet": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/bridge/bridge-nf-call-iptables": "1",  # Services between Pods of one CNI bridge need it
    "net/bridge/bridge-nf-call-ip6tables": "1",
}
_BRIDGE_SYSCTLS = {"net/bridge/bridge-nf-call-iptables": "0", "net/bridge/bridge-nf-call-ip6tables": "0"}


def path(namespace: str) -> Path:
    return FOLDER / namespace


def all_of(layout: Layout) -> list[str]:
    """The namespaces of this cluster that exist, the bridge's last."""
    if not FOLDER.is_dir():
        return []
    prefix = f"{layout.name}-"
    names = sorted(path.name for path in FOLDER.glob(f"{prefix}*") if is_member(path.name.removeprefix(prefix)))
    return sorted(names, key=lambda name: name == layout.netns(BRIDGE))


def is_member(member: str) -> bool:
    """Whether this is what a member of a cluster is called; so cluster `a` doesn't take `a-b`'s for its own."""
    return member in (BRIDGE, CONTROL_PLANE) or (member[:1] == "n" and member[1:].isdigit())


def make_base(layout: Layout, spec: ClusterSpec) -> None:
    """The bridge and the control plane's namespace with its addresses. A half-made one is finished."""
    net = layout.netns(BRIDGE)
    if not path(net).exists():
        _add(net)
    _sysctl(net, _BRIDGE_SYSCTLS)
    made = [] if "br0" in _links(net) else ["link add br0 type bridge mcast_snooping 0"]
    _batch(net, [*made, "link set lo up", "link set br0 up"])
    addresses = [
        f"{plan.control_plane(index)}/{plan.host_bits}"
        for plan in spec.nets
        for index in range(1, spec.api_servers + 1)
    ]
    if spec.api_servers > 1:
        addresses.append(f"{spec.primary.balancer}/{spec.primary.host_bits}")
    _attach(layout, spec, CONTROL_PLANE, addresses)


def make_node(layout: Layout, spec: ClusterSpec, node: NodeSpec) -> None:
    """A node's namespace with its addresses; nothing if it is there. Routes are set apart, by `route`."""
    addresses = [f"{plan.node(node.index)}/{plan.host_bits}" for plan in spec.nets]
    _attach(layout, spec, node.name, addresses)


def _add(namespace: str) -> None:
    shell.run(f"network namespace {namespace}", ["ip", "netns", "add", namespace])


def _attach(layout: Layout, spec: ClusterSpec, member: str, addresses: Iterable[str]) -> None:
    """A namespace with eth0 on the bridge. A half-made one is finished: eth0 is named when it has its addresses."""
    namespace, net = layout.netns(member), layout.netns(BRIDGE)
    if not path(namespace).exists():
        _add(namespace)
    _sysctl(namespace, _MEMBER_SYSCTLS)
    if "eth0" not in _links(namespace):
        _plug_in(namespace, net, member, addresses)
    _batch(
        namespace,
        ["link set lo up", "link set eth0 up"]
        + [f"route replace default via {plan.gateway} dev eth0 onlink" for plan in spec.nets],
    )


def _plug_in(namespace: str, net: str, member: str, addresses: Iterable[str]) -> None:
    if f"v-{member}" in _links(net):
        _batch(net, [f"link del v-{member}"])
    _batch(
        net, [f"link add v-{member} type veth peer name made netns {namespace}", f"link set v-{member} master br0 up"]
    )
    _batch(
        namespace,
        [f"addr add {address} dev made{' nodad' if ':' in address else ''}" for address in addresses]
        + ["link set made name eth0"],
    )


def route(layout: Layout, spec: ClusterSpec) -> None:
    """Every member's routes to every node's Pods."""
    for member in (CONTROL_PLANE, *(node.name for node in spec.nodes)):
        commands = [
            f"route replace {plan.node_pods(node.index)} via {plan.node(node.index)} dev eth0"
            for plan in spec.nets
            for node in spec.nodes
            if node.name != member
        ]
        _batch(layout.netns(member), commands)


def remove(layout: Layout, member: str) -> None:
    """Delete a member's namespace and its end of the bridge at once; nothing if it is gone."""
    namespace, net = layout.netns(member), layout.netns(BRIDGE)
    if member != BRIDGE and path(net).exists() and f"v-{member}" in _links(net):
        _batch(net, [f"link del v-{member}"])
    if path(namespace).exists():
        shell.run(f"network namespace {namespace}", ["ip", "netns", "del", namespace])


def balance(layout: Layout, spec: ClusterSpec, servers: Iterable[int]) -> None:
    """Spread connections to the balancer's address over these API servers (1..3), by rules in their namespace."""
    plan, family = spec.primary, "ip" if spec.family.v4 else "ip6"
    alive = list(servers)
    targets = ", ".join(f"{place} : {plan.control_plane(index)}" for place, index in enumerate(alive))
    chosen = f"numgen random mod {len(alive)} map {{ {targets} }}"
    rule = f"{family} daddr {plan.balancer} tcp dport {API_PORT} dnat to {chosen}"
    shell.run(
        "API balancer",
        [*enter(layout.netns(CONTROL_PLANE)), "nft", "-f", "-"],
        stdin=f"""table {family} devcluster_balancer
delete table {family} devcluster_balancer
table {family} devcluster_balancer {{
  chain outside {{ type nat hook prerouting priority -100; {rule}; }}
  chain inside {{ type nat hook output priority -100; {rule}; }}
}}
""",
    )


def cut(layout: Layout, spec: ClusterSpec, cut_off: Iterable[str]) -> None:
    """Drop what these nodes send to the API servers, and nothing else; an empty list heals all."""
    sources = {
        family: [
            plan.node(spec.node(name).index)
            for name in cut_off
            for plan in spec.nets
            if (":" in plan.hosts) == (family == "ip6")
        ]
        for family in ("ip", "ip6")
    }
    rules = "\n".join(
        f"    {family} saddr {{ {', '.join(addresses)} }} tcp dport {API_PORT} drop"
        for family, addresses in sources.items()
        if addresses
    )
    shell.run(
        "cut from the API servers",
        [*enter(layout.netns(CONTROL_PLANE)), "nft", "-f", "-"],
        stdin=f"""table inet {_DROP_TABLE}
delete table inet {_DROP_TABLE}
table inet {_DROP_TABLE} {{
  chain input {{ type filter hook prerouting priority -300;
{rules}
  }}
}}
""",
    )


def enter(namespace: str, mounts: Path | None = None) -> list[str]:
    """The command line in front of a program that shall run in a namespace (and in a node's mount namespace)."""
    return ["nsenter", f"--net={path(namespace)}", *([f"--mount={mounts}"] if mounts else []), "--"]


def connect(namespace: str, address: tuple[str, int], timeout: float) -> socket.socket:
    """A TCP connection made inside a namespace, usable from outside: a socket stays where it was made.

    A thread of its own enters the namespace, so that the rest of the process does not. OSError as from `socket`.
    """
    made: list[socket.socket | BaseException] = []

    def work() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            fd = os.open(path(namespace), os.O_RDONLY)
            try:
                if libc.setns(fd, _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), str(path(namespace)))
            finally:
                os.close(fd)
            made.append(socket.create_connection(address, timeout))
        except BaseException as error:
            made.append(error)

    thread = threading.Thread(target=work, name=f"connect-in-{namespace}")
    thread.start()
    thread.join()
    result = made[0]
    if isinstance(result, BaseException):
        raise result
    return result


def _links(namespace: str) -> set[str]:
    out = shell.run(f"links of {namespace}", ["ip", "-n", namespace, "-o", "link", "show"])
    return {line.split(": ", 2)[1].split("@", 1)[0] for line in out.splitlines()}


def _batch(namespace: str, commands: list[str]) -> None:
    if commands:
        shell.run(f"network of {namespace}", ["ip", "-n", namespace, "-batch", "-"], stdin="\n".join(commands) + "\n")


def _sysctl(namespace: str, values: dict[str, str]) -> None:
    """Write what exists; a kernel without IPv6 or bridge netfilter lacks some."""
    script = "\n".join(f"[ ! -e /proc/sys/{key} ] || echo {value} > /proc/sys/{key}" for key, value in values.items())
    try:
        shell.run(f"sysctls of {namespace}", [*enter(namespace), "sh", "-ec", script])
    except DevClusterError as error:
        raise DevClusterError(error.what, error.why, hint="run as root, with /proc/sys writable") from error
