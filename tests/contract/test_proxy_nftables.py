"""Real packets between namespaces through the ruleset that the kernel was given, and what nft says of it.

One node's namespace with three backends, a Pod that calls and an outsider, each in a namespace of its own. Needs root.
"""

import contextlib
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from pyroute2 import netns

from nodekit.objects.meta import Key
from pyproxy.act.conntrack.flows import Conntrack
from pyproxy.act.nftables.kernel import Kernel
from pyproxy.decide import chains, nft_text, programs, stale_flows, topology
from pyproxy.decide.ruleset import Ruleset
from pyproxy.model import address as addresses
from pyproxy.model import keys
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.ports import Balance, Endpoint, PortName, Protocol, ServicePort
from pyproxy.model.transaction import Transaction
from tests.contract import sctp

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

NODE, POD, OUTSIDER = "node", "pod", "outsider"
BACKENDS = ("b1", "b2", "b3")
PORT = 8080


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
        with self.inside(host), _open(over, socket.AF_INET6 if ":" in address else socket.AF_INET) as one:
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
            with one, contextlib.suppress(OSError):
                one.sendall(f"{host} {peer[0].removeprefix('::ffff:')}".encode())

    @staticmethod
    def _answer_datagrams(host: str, server: socket.socket) -> None:
        while True:
            try:
                _, peer = server.recvfrom(200)
                server.sendto(f"{host} {peer[0].removeprefix('::ffff:')}".encode(), peer)
            except OSError:
                return


def _open(protocol: Protocol, family: socket.AddressFamily) -> socket.socket:
    match protocol:
        case Protocol.TCP:
            one = socket.socket(family, socket.SOCK_STREAM)
        case Protocol.UDP:
            one = socket.socket(family, socket.SOCK_DGRAM)
        case Protocol.SCTP:
            one = sctp.open_socket(family)
    one.settimeout(0.7)
    return one


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with contextlib.ExitStack() as stack:
        yield Lab(stack)


@dataclass
class Node:
    """A family's ruleset on the lab's node."""

    lab: Lab
    plan: Plan
    kernel: Kernel
    ruleset: Ruleset = field(init=False)
    change: Transaction = field(init=False)

    def __post_init__(self) -> None:
        plan = self.plan
        policy = chains.Policy(
            plan.family,
            local_source=rs.SourceIn(plan.pods),
            node_port_ips=(ip(plan.hosts[NODE]),),
            service_cidrs=(plan.services,),
        )
        self.ruleset = Ruleset(policy)
        self.kernel.apply(self.ruleset.whole(), from_nothing=True)

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
        self.kernel.apply(self.change)
        return port

    def serve_change(self, *backends: str, **fields: object) -> Transaction:
        self.serve(*backends, **fields)  # type: ignore[arg-type]
        return self.change

    def call(self, host: str, address: str, port: int = 80, *, over: Protocol = Protocol.TCP) -> str:
        return self.lab.call(host, address, port, over=over)

    def reached(self, host: str, address: str, port: int = 80, *, over: Protocol = Protocol.TCP) -> set[str]:
        return {self.call(host, address, port, over=over).split()[0] for _ in range(25)}


@pytest.fixture(params=[pytest.param(f, id=f.api_name) for f in Family])
def node(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Node]:
    kernel = Kernel(lab.name(NODE))
    try:
        yield Node(lab, PLANS[request.param], kernel)
        kernel.delete_table(request.param)
    finally:
        kernel.close()


each_protocol = pytest.mark.parametrize("protocol", [pytest.param(p, id=p.name) for p in Protocol])


@each_protocol
def test_a_cluster_ip_reaches_every_backend(node: Node, protocol: Protocol) -> None:
    node.serve(*BACKENDS, protocol=protocol)
    assert node.reached(POD, node.plan.cluster_ip, over=protocol) == set(BACKENDS)
    assert node.call(POD, node.plan.cluster_ip, over=protocol).split()[1] == node.plan.hosts[POD]


def test_a_service_may_have_many_ports(node: Node) -> None:
    node.serve("b1", port=80)
    node.serve("b2", port=81, name="second")
    assert node.reached(POD, node.plan.cluster_ip, 80) == {"b1"}
    assert node.reached(POD, node.plan.cluster_ip, 81) == {"b2"}


@each_protocol
def test_a_node_port_reaches_every_backend_masqueraded(node: Node, protocol: Protocol) -> None:
    node.serve(*BACKENDS, protocol=protocol, node_port=30080)
    assert node.reached(OUTSIDER, node.plan.hosts[NODE], 30080, over=protocol) == set(BACKENDS)
    assert node.call(OUTSIDER, node.plan.hosts[NODE], 30080, over=protocol).split()[1] != node.plan.hosts[OUTSIDER]


@each_protocol
def test_the_node_itself_reaches_cluster_ips_and_its_node_ports(node: Node, protocol: Protocol) -> None:
    node.serve(*BACKENDS, node_port=30080, protocol=protocol)
    assert node.reached(NODE, node.plan.cluster_ip, over=protocol) == set(BACKENDS)
    assert node.reached(NODE, node.plan.hosts[NODE], 30080, over=protocol) == set(BACKENDS)


@each_protocol
def test_external_policy_local_keeps_the_callers_address(node: Node, protocol: Protocol) -> None:
    node.serve(*BACKENDS, node_port=30080, external_local=True, protocol=protocol)
    answer = node.call(OUTSIDER, node.plan.hosts[NODE], 30080, over=protocol)
    assert answer == f"b1 {node.plan.hosts[OUTSIDER]}"
    assert node.reached(POD, node.plan.hosts[NODE], 30080, over=protocol) == set(BACKENDS)


@each_protocol
def test_a_backend_reaches_itself(node: Node, protocol: Protocol) -> None:
    node.serve("b1", protocol=protocol)
    assert node.call("b1", node.plan.cluster_ip, over=protocol).split()[0] == "b1"


@each_protocol
def test_without_endpoints_connections_are_refused(node: Node, protocol: Protocol) -> None:
    node.serve(protocol=protocol, node_port=30080)
    assert node.call(POD, node.plan.cluster_ip, over=protocol) == "ConnectionRefusedError"
    assert node.call(OUTSIDER, node.plan.hosts[NODE], 30080, over=protocol) == "ConnectionRefusedError"


@each_protocol
def test_undefined_ports_of_a_cluster_ip_are_refused(node: Node, protocol: Protocol) -> None:
    node.serve("b1", protocol=protocol)
    assert node.call(POD, node.plan.cluster_ip, 53, over=protocol) == "ConnectionRefusedError"


@each_protocol
def test_unallocated_addresses_of_the_service_range_are_dropped(node: Node, protocol: Protocol) -> None:
    assert node.call(POD, node.plan.unallocated, over=protocol) == "TimeoutError"


@each_protocol
def test_source_ranges_let_in_whom_they_name(node: Node, protocol: Protocol) -> None:
    node.serve("b1", vips=(ip(node.plan.external_ip),), source_ranges=(node.plan.pods,), protocol=protocol)
    assert node.call(POD, node.plan.external_ip, over=protocol).split()[0] == "b1"
    assert node.call(OUTSIDER, node.plan.external_ip, over=protocol) == "TimeoutError"


@each_protocol
def test_a_client_with_affinity_keeps_its_backend_until_that_leaves(node: Node, protocol: Protocol) -> None:
    def reached() -> set[str]:
        return node.reached(POD, node.plan.cluster_ip, over=protocol)

    node.serve(*BACKENDS, affinity_seconds=60, protocol=protocol)
    first = reached()
    assert len(first) == 1
    others = set(BACKENDS) - first
    node.serve(*sorted(others), affinity_seconds=60, protocol=protocol)
    assert node.call(POD, node.plan.cluster_ip, over=protocol) == "TimeoutError"  # its first try forgets the backend
    (second,) = reached()
    left = sorted({*first, *others} - {second})
    node.kernel.forget_clients(node.serve_change(*left, affinity_seconds=60, protocol=protocol))
    (third,) = reached()
    assert third not in (second, "TimeoutError")


def test_affinity_ends_when_the_client_stays_away_for_its_time(node: Node) -> None:
    node.serve(*BACKENDS, affinity_seconds=1)
    assert len(node.reached(POD, node.plan.cluster_ip)) == 1
    deadline = time.monotonic() + 5
    while node.kernel.elements(node.plan.family, rs.Set.AFFINITY):
        assert time.monotonic() < deadline, "the client is remembered for longer than its second"
        time.sleep(0.05)


def test_maglev_gives_a_connection_the_same_backend_each_time(node: Node) -> None:
    node.serve(*BACKENDS, balance=Balance.MAGLEV)
    assert node.reached(POD, node.plan.cluster_ip) == set(BACKENDS)
    family = socket.AF_INET6 if node.plan.family is Family.IPV6 else socket.AF_INET
    for port in (40001, 40002, 40003):
        answers = set()
        for _ in range(3):
            with node.lab.inside(POD), socket.socket(family, socket.SOCK_STREAM) as one:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.bind((node.plan.hosts[POD], port))
                one.settimeout(1)
                one.connect((node.plan.cluster_ip, 80))
                answers.add(one.recv(100).split()[0])
        assert len(answers) == 1


def test_every_row_of_changes_leaves_just_what_a_whole_would(node: Node) -> None:
    for backends in (BACKENDS, ("b1",), ("b3", "b2"), (), ("b2",)):
        node.serve(*backends, node_port=30080, affinity_seconds=10, external_local=True)
    whole = node.ruleset.whole()
    for one, wanted in whole.added.items():
        assert node.kernel.elements(node.plan.family, one) == {k: nft_text.told(v) for k, v in wanted.items()}, one
    node.kernel.apply(whole)
    for one, wanted in whole.added.items():
        assert node.kernel.elements(node.plan.family, one) == {k: nft_text.told(v) for k, v in wanted.items()}, one


def test_nft_prints_every_rule_and_says_nothing_else(node: Node) -> None:
    node.serve(*BACKENDS, node_port=30080, external_local=True, affinity_seconds=10800,
               vips=(ip(node.plan.external_ip),), source_ranges=(node.plan.pods,))  # fmt: skip
    node.serve(name="nothing", port=81)
    node.serve(*BACKENDS, name="hashed", port=82, balance=Balance.MAGLEV)
    listed = node.lab.nft("list", "ruleset")
    assert (listed.returncode, listed.stderr) == (0, "")
    for chain in node.kernel.chain_names(node.plan.family):
        body = listed.stdout.split(f"\tchain {chain} {{\n")[1].split("\n\t}")[0].splitlines()
        whole = {c.name: c for c in node.ruleset.whole().chains}
        rules = [line for line in body if not line.strip().startswith("type nat hook")]
        assert len(rules) == len(whole[chain].rules), chain
        assert all(line.strip() for line in rules), chain


def test_nft_reads_what_it_lists_and_what_a_dry_run_prints(node: Node, tmp_path: Path) -> None:
    # Session affinity apart: nft 1.0.6 prints the original port of a connection in a key, but does not read it there.
    node.serve(*BACKENDS, node_port=30080, external_local=True,
               vips=(ip(node.plan.external_ip),), source_ranges=(node.plan.pods,))  # fmt: skip
    node.serve(name="nothing", port=81)
    node.serve(*BACKENDS, name="hashed", port=82, balance=Balance.MAGLEV)
    for text in (node.lab.nft("list", "ruleset").stdout, nft_text.write(node.ruleset.whole())):
        path = tmp_path / "ruleset.nft"
        path.write_text("flush ruleset\n" + text)
        assert node.lab.nft("-c", "-f", str(path)).stderr == ""


def test_flows_of_a_gone_backend_are_forgotten(node: Node) -> None:
    _forget_flows(node)
    port = node.serve("b1", protocol=Protocol.UDP)
    with _udp_client(node) as client:
        assert _ask(client) == "b1"
        frontends = node.ruleset.programs[port.name].frontends
        node.serve("b2", protocol=Protocol.UDP)
        assert _ask(client) == "b1"  # conntrack remembers
        gone = keys.endpoint(ip(node.plan.hosts["b1"]), PORT)
        flows = stale_flows.of(frontends, frozenset({gone}), frozenset())
        conntrack = Conntrack(node.lab.name(NODE))
        assert conntrack.forget(flows, node.plan.family) == 1
        conntrack.close()
        assert _ask(client) == "b2"


def test_flows_to_backends_of_the_past_are_found_at_the_start(node: Node) -> None:
    _forget_flows(node)
    port = node.serve("b1", protocol=Protocol.UDP)
    with _udp_client(node) as client:
        assert _ask(client) == "b1"
        node.serve("b2", protocol=Protocol.UDP)
        (frontend,) = node.ruleset.programs[port.name].frontends
        conntrack = Conntrack(node.lab.name(NODE))
        now = frozenset({keys.endpoint(ip(node.plan.hosts["b2"]), PORT)})
        assert conntrack.reconcile({frontend.key: now}, node.plan.family) == 1
        assert _ask(client) == "b2"
        assert conntrack.reconcile({frontend.key: now}, node.plan.family) == 0
        conntrack.close()


@contextlib.contextmanager
def _udp_client(node: Node) -> Iterator[socket.socket]:
    """A Pod's socket that talks to the Service's ClusterIP."""
    family = socket.AF_INET6 if node.plan.family is Family.IPV6 else socket.AF_INET
    with node.lab.inside(POD):
        client = socket.socket(family, socket.SOCK_DGRAM)
    with client:
        client.settimeout(0.7)
        client.connect((node.plan.cluster_ip, 80))
        yield client


def _forget_flows(node: Node) -> None:
    """Without those of other cases: the kernel may give this client a port that one of theirs had."""
    command = ["ip", "netns", "exec", node.lab.name(NODE), "conntrack", "-F"]
    subprocess.run(command, check=True, capture_output=True)


def _ask(client: socket.socket) -> str:
    client.send(b"?")
    return client.recv(200).decode().split()[0]


def test_a_refill_under_load_refuses_nobody(node: Node) -> None:
    node.serve(*BACKENDS)
    failures: list[str] = []
    stop = threading.Event()

    def load(call: Callable[..., str]) -> None:
        netns.setns(node.lab.name(POD))  # this thread's namespace alone
        while not stop.is_set():
            family = socket.AF_INET6 if node.plan.family is Family.IPV6 else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as one:
                one.settimeout(3)
                try:
                    one.connect((node.plan.cluster_ip, 80))
                    one.recv(10)
                except OSError as error:
                    failures.append(repr(error))

    threads = [threading.Thread(target=load, args=(node.call,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        node.kernel.apply(node.ruleset.whole())
    stop.set()
    for thread in threads:
        thread.join(10)
    assert failures == []
