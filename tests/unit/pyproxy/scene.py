"""What the sync loop is tried with: a cluster as a test says, a kernel of dictionaries that can be told to refuse."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodekit.aio import virtual
from nodekit.aio.clock import VirtualClock
from nodekit.objects.meta import Key
from pyproxy import errors
from pyproxy.act.nftables.writer import Writer
from pyproxy.act.sync import Sync
from pyproxy.decide import chains, topology
from pyproxy.decide.ruleset import Ruleset
from pyproxy.decide.stale_flows import Flow
from pyproxy.decide.trace import Machine
from pyproxy.model import keys
from pyproxy.model.address import Address, Family
from pyproxy.model.ports import Endpoint, PortName, Protocol, ServicePort
from pyproxy.model.ruleset import Set
from pyproxy.model.transaction import Transaction

A, B = Key("ns", "a"), Key("ns", "b")


def endpoint(number: int, **fields: Any) -> Endpoint:
    return Endpoint(Address(bytes((10, 1, 0, number))), 8080, **fields)


@dataclass
class World:
    """What the cluster wants, as a test says."""

    wanted: dict[Key, tuple[Endpoint, ...]] = field(default_factory=dict)
    protocol: Protocol = Protocol.TCP
    poisoned: set[Key] = field(default_factory=set)
    exhausted: bool = False
    node_ports: tuple[Address, ...] | None = ()
    node_port: int = 0
    machine: tuple[Address, ...] = ()
    zone: str = ""
    asked: list[Key] = field(default_factory=list)

    def services(self) -> Iterable[Key]:
        return list(self.wanted)

    def ports(self, service: Key, family: Family) -> Iterable[ServicePort]:
        self.asked.append(service)
        if self.exhausted:
            raise MemoryError
        if service in self.poisoned:
            raise ValueError("a Service nobody thought of")
        if service not in self.wanted:
            return ()
        number = sorted((A, B)).index(service)
        name = PortName(service, "p", self.protocol)
        return (ServicePort(name, Address(bytes((10, 0, 0, number + 1))), 80, node_port=self.node_port),)

    def endpoints(self, port: PortName, family: Family) -> tuple[Endpoint, ...]:
        return self.wanted[port.service]

    def place(self) -> topology.Place:
        return topology.Place("n1", self.zone)

    def node_ip(self, family: Family) -> Address | None:
        return None

    def machine_ips(self) -> Iterable[Address]:
        return self.machine

    def policy(self, family: Family) -> chains.Policy:
        return chains.Policy(family, node_port_ips=self.node_ports)


@dataclass
class Kernel:
    """Applies to dictionaries what it does not refuse."""

    machine: Machine = field(default_factory=Machine)
    sent: list[tuple[Transaction, bool]] = field(default_factory=list)
    let_go: list[Transaction] = field(default_factory=list)
    refuse: Callable[[Transaction, bool], bool] = lambda transaction, from_nothing: False

    def apply(self, transaction: Transaction, *, from_nothing: bool = False) -> None:
        self.sent.append((transaction, from_nothing))
        if self.refuse(transaction, from_nothing):
            raise errors.RulesetError("refused")
        if from_nothing:
            self.machine = Machine()
        self.machine.apply(transaction)

    def chain_names(self, family: Family) -> set[str]:
        return set(self.machine.chains)

    def forget_clients(self, change: Transaction) -> None:
        self.let_go.append(change)

    @property
    def backends(self) -> set[int]:
        held = self.machine.sets[Set.ENDPOINTS].values()
        return {keys.read_endpoint(v)[0][3] for v in held if isinstance(v, bytes)}


@dataclass
class SlowWriter(Writer):
    """Takes its time for a whole ruleset, as there are many Services."""

    kernel: Kernel
    seconds: float

    def __post_init__(self) -> None:
        super().__init__(self.kernel)

    async def replace(self, whole: Transaction) -> None:
        await asyncio.sleep(self.seconds)
        await super().replace(whole)


class Flows:
    """Remembers what it was asked to forget."""

    def __init__(self) -> None:
        self.forgotten: list[Flow] = []
        self.reconciled: list[dict[bytes, frozenset[bytes]]] = []

    def forget(self, flows: Iterable[Flow], family: Family) -> int:
        self.forgotten.extend(flows)
        return 0

    def reconcile(self, serving: Mapping[bytes, frozenset[bytes]], family: Family) -> int:
        self.reconciled.append(dict(serving))
        return 0


@dataclass
class Scene:
    world: World = field(default_factory=World)
    kernel: Kernel = field(default_factory=Kernel)
    flows: Flows = field(default_factory=Flows)
    rewrite_takes: float = 0

    def play(self, script: Callable[["Scene", Sync], Coroutine[Any, Any, None]]) -> None:
        async def scenario() -> None:
            sync = Sync(
                self.world,
                SlowWriter(self.kernel, self.rewrite_takes),
                Ruleset,
                families=[Family.IPV4],
                clock=VirtualClock(),
                conntrack=self.flows,
            )
            task = asyncio.create_task(sync.run())
            sync.wake_all()
            await asyncio.sleep(self.rewrite_takes + 1)
            try:
                await script(self, sync)
            finally:
                task.cancel()

        virtual.run(scenario())
