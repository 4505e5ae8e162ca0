"""What the ruleset holds for one ServicePort: its frontends, and the endpoints they lead to, packed. No I/O."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyproxy.model.address import Prefix
from pyproxy.model.ruleset import ChainKey, Kind, Verdict


class Backends(enum.Enum):
    """Which of a program's two lists of endpoints a frontend leads to."""

    NONE = "none"
    CLUSTER = "cluster"
    LOCAL = "local"

    __hash__ = object.__hash__  # Enum's own is slow, and members are singletons


@dataclass(frozen=True, slots=True)
class Frontend:
    """One address (or NodePort) and port that leads to a ServicePort.

    `key` is a service key or, for a NodePort, a node port key. `short` is set when this node's own clients bypass the
    traffic policy and reach the cluster's endpoints.
    """

    key: bytes
    verdict: ChainKey | Verdict
    backends: Backends = Backends.NONE
    short: ChainKey | None = None
    affinity_seconds: int = 0
    sources: tuple[Prefix, ...] = ()

    @property
    def node_port(self) -> bool:
        """Whether the frontend is every address of the node."""
        return len(self.key) == 8


@dataclass(frozen=True, slots=True)
class Program:
    """All of one ServicePort. The order of the endpoints is the order of their slots."""

    frontends: tuple[Frontend, ...]
    cluster: tuple[bytes, ...] = ()
    local: tuple[bytes, ...] = ()
    cluster_ip: bytes = b""
    hairpins: frozenset[bytes] = field(default_factory=frozenset)
    health_check_port: int = 0

    def backends(self, frontend: Frontend) -> tuple[bytes, ...]:
        """The endpoints a frontend leads to."""
        match frontend.backends:
            case Backends.CLUSTER:
                return self.cluster
            case Backends.LOCAL:
                return self.local
            case Backends.NONE:
                return ()


def without_local_endpoints(programs: Iterable[Program]) -> tuple[int, int]:
    """How many frontends drop because their policy is Local and this node has no endpoint: internal, external."""
    frontends = [frontend for program in programs for frontend in program.frontends]
    internal = sum(frontend.verdict is Verdict.DROP for frontend in frontends)
    external = sum(
        isinstance(frontend.verdict, ChainKey) and frontend.verdict.kind is Kind.LOCAL and not frontend.verdict.number
        for frontend in frontends
    )
    return internal, external
