"""One node's namespace with three backends, a Pod that calls and an outsider, each in a namespace of its own.

For tests that send real packets through the ruleset the kernel was given. Needs root.
"""

import abc
import asyncio
import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

from pyroute2 import netns

from nodekit.objects.meta import Key
from pyproxy.act.iptables import writer
from pyproxy.act.iptables.programs import BackEnd, Programs
from pyproxy.act.nftables.kernel import Kernel
from pyproxy.decide import chains, programs, topology
from pyproxy.decide.iptables import listing
from pyproxy.decide.iptables import ruleset as iptables
from pyproxy.decide.ruleset import Ruleset
from pyproxy.model import address as addresses
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.iptables import Change
from pyproxy.model.ports import Endpoint, PortName, Protocol, ServicePort
from pyproxy.model.transaction import Transaction
from tests.contract import sctp

NODE: Final = "node"
POD: Final = "pod"
OUTSIDER: Final = "outsider"
BACKENDS: Final = ("b1", "b2", "b3")
PORT: Final = 8080


def ip(text: str) -> Address:
    found = addresses.parse(text)
    assert found is not None
    return found


def cidr(text: str) -> Prefix:
    found = addresses.parse_prefix(text)
    assert found is not None
    return found


@dataclass(frozen=True)
class Plan:
    """One family's addresses."""

    family: Family
    hosts: dict[str, str]
    pods: Prefix
    cluster_ip: str
    external_ip: str
    unallocated: str
    services: Prefix


PLANS = {
    Family.IPV4: Plan(
        Family.IPV4,
        {"node": "198.18.0.1", "b1": "198.19.1.11", "b2": "198.19.1.12", "b3": "198.19.1.13", "pod": "198.19.1.50",
         "outsider": "198.18.0.99"},
        cidr("198.19.0.0/16"), "198.18.64.10", "198.18.1.1", "198.18.64.99", cidr("198.18.64.0/18"),
    ),
    Family.IPV6: Plan(
        Family.IPV6,
        {"node": "fd00::1", "b1": "fd00:1::11", "b2": "fd00:1::12", "b3": "fd00:1::13", "pod": "fd00:1::50",
         "outsider": "fd00::99"},
        cidr("fd00:1::/64"), "fd00:64::10", "fd00:99::1", "fd00:64::99", cidr("fd00:64::/112"),
    ),
}  # fmt: skip


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


class Lab:
    """The namespaces, wired to the node by a veth each, with a server in every backend that tells its name."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.prefix = f"proxy-{os.getpid()}"
        self.stack = stack
        self._make(NODE)
        self._in(NODE, "ip", "link", "set", "lo", "up")
        for plan in PLANS.values():
            width = plan.family.value * 8
            self._in(NODE, "ip", "addr", "add", f"{plan.hosts[NODE]}/{width}", "dev", "lo")
        self._in(NODE, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        # The kernel rations ICMP errors to each client: many cases within a second would go without their refusal.
        self._in(NODE, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        for name in (*BACKENDS, POD, OUTSIDER):
            self._attach(name)
        for plan in PLANS.values():
            # Where the node would send what is for a ClusterIP, if nothing translated it.
            route = (str(plan.services), "dev", f"v-{OUTSIDER}", "src", plan.hosts[NODE])
            self._in(NODE, "ip", "route", "add", *route)
            # There it would be refused: what is not answered at all was dropped on the way.
            self._add_address(OUTSIDER, plan.unallocated)
        for name in BACKENDS:
            self._serve(name)

    def name(self, host: str) -> str:
        return f"{self.prefix}-{host}"

    def nft(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ip", "netns", "exec", self.name(NODE), "nft", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    @contextlib.contextmanager
    def inside(self, host: str) -> Iterator[None]:
        netns.pushns(self.name(host))
        try:
            yield
        finally:
            netns.popns()

    def call(self, host: str, address: str, port: int, *, over: Protocol = Protocol.TCP) -> str:
        """What answered, as `name seen-source`; or the error's name."""
        with self.inside(host), open_socket(over, socket.AF_INET6 if ":" in address else socket.AF_INET) as one:
            try:
                one.connect((address, port))
                match over:
                    case Protocol.TCP:
                        return one.recv(200).decode()
                    case Protocol.UDP:
                        one.send(b"?")
                        return one.recv(200).decode()
                    case Protocol.SCTP:
                        client = sctp.Client(one, port)
                        client.begin()
                        return client.ask()
            except OSError as error:
                return type(error).__name__

    def forget_flows(self) -> None:
        """Have only new connections from here on: the kernel may give a client a port that an earlier one had."""
        self._in(NODE, "conntrack", "-F")

    def _make(self, host: str) -> None:
        netns.create(self.name(host))
        self.stack.callback(netns.remove, self.name(host))

    def _in(self, host: str, *command: str) -> None:
        _run("ip", "netns", "exec", self.name(host), *command)

    def _attach(self, host: str) -> None:
        self._make(host)
        self._in(host, "ip", "link", "set", "lo", "up")
        peer = f"v-{host}"
        _run(
            "ip",
            "link",
            "add",
            peer,
            "netns",
            self.name(NODE),
            "type",
            "veth",
            "peer",
            "eth0",
            "netns",
            self.name(host),
        )
        self._in(host, "ip", "link", "set", "eth0", "up")
        self._in(NODE, "ip", "link", "set", peer, "up")
        self._in(NODE, "ip", "addr", "add", "169.254.1.1/32", "dev", peer)
        self._in(NODE, "ip", "addr", "add", "fe80::1/64", "dev", peer, "nodad")
        for plan, gateway in ((PLANS[Family.IPV4], "169.254.1.1"), (PLANS[Family.IPV6], "fe80::1")):
            address = plan.hosts[host]
            self._add_address(host, address)
            if ":" not in address:
                self._in(host, "ip", "route", "add", gateway, "dev", "eth0")
            self._in(host, "ip", "route", "add", "default", "via", gateway, "dev", "eth0")
            self._in(NODE, "ip", "route", "add", address, "dev", peer)

    def _add_address(self, host: str, address: str) -> None:
        width = ("/128", "nodad") if ":" in address else ("/32",)
        self._in(host, "ip", "addr", "add", f"{address}{width[0]}", "dev", "eth0", *width[1:])

    def _serve(self, host: str) -> None:
        with self.inside(host):
            stream = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
            datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            datagrams.bind(("::", PORT))
            raw = [sctp.open_socket(family) for family in (socket.AF_INET, socket.AF_INET6)]
        for one in raw:
            self.stack.callback(one.close)
            threading.Thread(target=sctp.Server(one, PORT, host).run, daemon=True).start()
        for one, answer in ((stream, self._answer_stream), (datagrams, self._answer_datagrams)):
            self.stack.callback(one.close)
            self.stack.callback(one.shutdown, socket.SHUT_RDWR) if one is stream else None
            threading.Thread(target=answer, args=(host, one), daemon=True).start()

    @staticmethod
    def _answer_stream(host: str, server: socket.socket) -> None:
        while True:
            try:
                one, peer = server.accept()
            except OSError:
                return
            answer = f"{host} {peer[0].removeprefix('::ffff:')}".encode()
            threading.Thread(target=_converse, args=(one, answer), daemon=True).start()

    @staticmethod
    def _answer_datagrams(host: str, server: socket.socket) -> None:
        while True:
            try:
                _, peer = server.recvfrom(200)
                server.sendto(f"{host} {peer[0].removeprefix('::ffff:')}".encode(), peer)
            except OSError:
                return


def _converse(one: socket.socket, answer: bytes) -> None:
    """Greet, and say the same to whatever comes."""
    with one, contextlib.suppress(OSError):
        one.sendall(answer)
        while one.recv(200):
            one.sendall(answer)


def open_socket(protocol: Protocol, family: socket.AddressFamily) -> socket.socket:
    match protocol:
        case Protocol.TCP:
            one = socket.socket(family, socket.SOCK_STREAM)
        case Protocol.UDP:
            one = socket.socket(family, socket.SOCK_DGRAM)
        case Protocol.SCTP:
            one = sctp.open_socket(family)
    one.settimeout(0.7)
    return one


@dataclass
class AnyNode(abc.ABC):
    """A family's ruleset on the lab's node, whatever holds it there."""

    lab: Lab
    plan: Plan
    ruleset: Any = field(init=False)
    change: Any = field(init=False, repr=False)
    moved: ClassVar[str] = ""
    """What a client with affinity meets at its first try after its backend has left; nothing when it just moves."""
    counting: ClassVar[rs.Counting] = rs.Counting.NOTHING

    def __post_init__(self) -> None:
        plan = self.plan
        policy = chains.Policy(
            plan.family,
            local_source=rs.SourceIn(plan.pods),
            node_port_ips=(ip(plan.hosts[NODE]),),
            service_cidrs=(plan.services,),
            counting=self.counting,
        )
        self.ruleset = self.make_ruleset(policy)
        self.start()

    @abc.abstractmethod
    def make_ruleset(self, policy: chains.Policy) -> Any: ...

    def start(self) -> None:
        self.write_whole()

    @abc.abstractmethod
    def write_whole(self) -> None: ...

    @abc.abstractmethod
    def write(self, change: Any) -> None: ...

    @abc.abstractmethod
    def remove(self) -> None: ...

    def serve(
        self, *backends: str, name: str = "web", protocol: Protocol = Protocol.TCP, **fields: object
    ) -> ServicePort:
        port = ServicePort(PortName(Key("ns", name), "", protocol), ip(self.plan.cluster_ip), 80)
        port = replace(port, **fields)  # type: ignore[arg-type]
        endpoints = [Endpoint(ip(self.plan.hosts[b]), PORT, local=b == "b1") for b in backends]
        choice = topology.choose(port, endpoints, topology.Place("n"))
        before = self.ruleset.programs.get(port.name)
        self.ruleset.put(port.name, programs.build(port, choice, before=before))
        self.change = self.ruleset.take()
        self.write(self.change)
        if protocol is not Protocol.TCP:
            self.lab.forget_flows()  # as the sync loop does
        return port

    def call(self, host: str, address: str, port: int = 80, *, over: Protocol = Protocol.TCP) -> str:
        return self.lab.call(host, address, port, over=over)

    def reached(self, host: str, address: str, port: int = 80, *, over: Protocol = Protocol.TCP) -> set[str]:
        """Who answers: one of three by chance is missed by so many calls once in 10^10 times."""
        return {self.call(host, address, port, over=over).split()[0] for _ in range(60)}


@dataclass
class Node(AnyNode):
    """The ruleset is in nf_tables."""

    kernel: Kernel
    moved: ClassVar[str] = "TimeoutError"

    def make_ruleset(self, policy: chains.Policy) -> Ruleset:
        return Ruleset(policy)

    def start(self) -> None:
        self.kernel.apply(self.ruleset.whole(), from_nothing=True)

    def write_whole(self) -> None:
        self.kernel.apply(self.ruleset.whole())

    def write(self, change: Transaction) -> None:
        self.kernel.apply(change)

    def remove(self) -> None:
        self.kernel.delete_table(self.plan.family)

    def serve_change(self, *backends: str, **fields: object) -> Transaction:
        self.serve(*backends, **fields)  # type: ignore[arg-type]
        return self.change  # type: ignore[no-any-return]


class CountingNode(Node):
    """It counts connections, too."""

    counting = rs.Counting.ENDPOINTS


@dataclass
class IptablesNode(AnyNode):
    """The ruleset is in iptables, of either back end."""

    writer: writer.Writer

    def make_ruleset(self, policy: chains.Policy) -> iptables.Ruleset:
        return iptables.Ruleset(policy)

    def write_whole(self) -> None:
        asyncio.run(self.writer.replace(self.ruleset.whole()))

    def write(self, change: Change) -> None:
        asyncio.run(self.writer.apply(change))

    def remove(self) -> None:
        asyncio.run(self.writer.remove(self.plan.family, listing.ours))

    def listing(self) -> listing.Listing:
        return asyncio.run(self.writer.listing(self.plan.family))


def iptables_writer(lab: Lab, back_end: BackEnd) -> writer.Writer:
    return writer.Writer(Programs(back_end, ("ip", "netns", "exec", lab.name(NODE))))
