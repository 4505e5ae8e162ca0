"""Who the sync loop deals with: what it reads its wishes from, and what it writes to. Each has its fakes in tests."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from nodekit.objects.meta import Key
from pyproxy.decide import topology
from pyproxy.decide.chains import Policy
from pyproxy.decide.stale_flows import Flow, Serving
from pyproxy.model.address import Address, Family
from pyproxy.model.ports import Endpoint, PortName, ServicePort
from pyproxy.model.program import Program

Change = TypeVar("Change", covariant=True)
Taken = TypeVar("Taken", contravariant=True)


class Rules(Protocol[Change]):
    """One family's ruleset: what it should hold, and how that has changed. Each mode has its own."""

    policy: Policy
    programs: dict[PortName, Program]

    def put(self, name: PortName, program: Program | None) -> None:
        """Give a ServicePort another program, or none."""
        ...

    def repolicy(self, policy: Policy) -> None:
        """Put a changed policy to use."""
        ...

    def take(self) -> Change:
        """What has changed since the last time; false when nothing has."""
        ...

    def whole(self) -> Change:
        """Everything there is; what `take` would have said is forgotten."""
        ...

    @property
    def idle(self) -> bool:
        """Whether something is left that nothing uses."""
        ...

    def collect(self) -> Change:
        """The removal of what nothing has used since the last call."""
        ...

    def without_local_endpoints(self) -> tuple[int, int]:
        """How many frontends drop for want of a local endpoint: internal, external."""
        ...


class Writer(Protocol[Taken]):
    """What a ruleset is written to: nf_tables, iptables, or a fake."""

    async def apply(self, change: Taken) -> None:
        """All of it or nothing; raises RulesetError."""
        ...

    async def replace(self, whole: Taken) -> None:
        """Make it all there is of ours, whatever was there; raises RulesetError."""
        ...


class Forgetter(Protocol):
    """What deletes flows: conntrack, or a fake."""

    def forget(self, flows: Iterable[Flow], family: Family) -> int:
        """Delete them; how many there were. Raises ConntrackError."""
        ...

    def reconcile(self, serving: Serving, family: Family) -> int:
        """Delete what leads from a frontend to none of its backends; how many there were. Raises ConntrackError."""
        ...


class World(Protocol):
    """What the cluster wants of this node, as far as it is known now."""

    def ports(self, service: Key, family: Family) -> Iterable[ServicePort]:
        """A Service's ports; none when it is gone."""
        ...

    def endpoints(self, port: PortName, family: Family) -> tuple[Endpoint, ...]:
        """A port's endpoints in a family."""
        ...

    def services(self) -> Iterable[Key]:
        """Every Service there is."""
        ...

    def place(self) -> topology.Place:
        """Where this node is."""
        ...

    def node_ip(self, family: Family) -> Address | None:
        """The node's own address."""
        ...

    def machine_ips(self) -> Iterable[Address]:
        """The addresses this machine has now, of both families."""
        ...

    def policy(self, family: Family) -> Policy:
        """How the ruleset treats sources and NodePorts."""
        ...
