"""Who the sync loop deals with: what it reads its wishes from, and what it writes to. Each has its fakes in tests."""

from collections.abc import Iterable
from typing import Protocol

from nodekit.objects.meta import Key
from pyproxy.decide import topology
from pyproxy.decide.chains import Policy
from pyproxy.decide.stale_flows import Flow, Serving
from pyproxy.model.address import Address, Family
from pyproxy.model.ports import Endpoint, PortName, ServicePort
from pyproxy.model.transaction import Transaction


class Writer(Protocol):
    """What a ruleset is written to: nf_tables, or a fake."""

    def apply(self, transaction: Transaction, *, from_nothing: bool = False) -> None:
        """All of it or nothing; raises RulesetError."""
        ...

    def chain_names(self, family: Family) -> set[str]:
        """The chains there are in our table."""
        ...

    def forget_clients(self, change: Transaction) -> None:
        """Forget the clients with session affinity whose backend left with a change; raises RulesetError."""
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

    def policy(self, family: Family) -> Policy:
        """How the ruleset treats sources and NodePorts."""
        ...
