"""Say which conntrack flows of a ServicePort lead nowhere after a change. No I/O.

Connectionless flows live on in conntrack as long as their client keeps sending, wherever they once went; so do SCTP's
and, where the Service asks for it, TCP's. Only what no longer serves counts: a change of policy or readiness leaves
flows where they are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyproxy.model import keys
from pyproxy.model.address import Address
from pyproxy.model.ports import Endpoint, PortName, Protocol, ServicePort
from pyproxy.model.program import Frontend, Program

Serving = Mapping[bytes, frozenset[bytes]]
"""By service key, the backends its flows may lead to."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Flows of a frontend (a service key or node port key) to a backend; None means those never translated."""

    frontend: bytes
    backend: bytes | None


def of(frontends: Iterable[Frontend], before: frozenset[bytes], after: frozenset[bytes]) -> list[Flow]:
    """The flows to forget when a port's serving backends go from `before` to `after`.

    With its first backend a frontend also forgets the flows that found none and went out untranslated.
    """
    gone = sorted(before - after)
    woken = not before and bool(after)
    flows: list[Flow] = []
    for frontend in frontends:
        flows.extend(Flow(frontend.key, backend) for backend in gone)
        if woken:
            flows.append(Flow(frontend.key, None))
    return flows


def frontend_address(flow: Flow) -> Address | None:
    """The address clients called; None for a NodePort, which is on any."""
    return Address(flow.frontend[:-8]) if len(flow.frontend) > 8 else None


class Ledger:
    """The serving backends of every port whose flows are followed, and what went stale since it was last asked."""

    def __init__(self) -> None:
        self._serving: dict[PortName, frozenset[bytes]] = {}
        self._gone: list[Flow] = []
        self._new: dict[bytes, frozenset[bytes]] = {}

    def put(self, port: ServicePort, endpoints: Iterable[Endpoint], *, old: Program | None, new: Program) -> None:
        """A port goes from one program to another, and has these endpoints now."""
        if port.name.protocol is Protocol.TCP and not port.reset_connections:
            self.drop(port.name)
            return
        followed = port.name in self._serving
        before = self._serving.get(port.name, frozenset())
        after = frozenset(keys.endpoint(e.address, e.port) for e in endpoints if e.serving)
        self._serving[port.name] = after
        known = {frontend.key: frontend for frontend in (old.frontends if old is not None and followed else ())}
        self._new.update((frontend.key, after) for frontend in new.frontends if frontend.key not in known)
        frontends = known | {frontend.key: frontend for frontend in new.frontends}
        self._gone.extend(of(frontends.values(), before, after))

    def drop(self, name: PortName) -> None:
        """A port is gone, or its flows are nobody's business any more."""
        self._serving.pop(name, None)

    def take_gone(self) -> list[Flow]:
        """The flows to backends that left since the last time."""
        gone, self._gone = self._gone, []
        return gone

    def take_new(self, node_ips: Iterable[Address]) -> Serving:
        """The frontends that came since the last time: flows from before may lead anywhere."""
        new, self._new = self._new, {}
        return _on_addresses(new.items(), tuple(node_ips))

    def all(self, programs: Mapping[PortName, Program], node_ips: Iterable[Address]) -> Serving:
        """Every frontend that is followed."""
        pairs = [(f.key, serving) for name, serving in self._serving.items() for f in programs[name].frontends]
        return _on_addresses(pairs, tuple(node_ips))


def _on_addresses(pairs: Iterable[tuple[bytes, frozenset[bytes]]], node_ips: tuple[Address, ...]) -> Serving:
    """NodePorts on the addresses they answer on; one without backends may be somebody else's port."""
    found = {}
    for key, serving in pairs:
        if len(key) > 8:
            found[key] = serving
        elif serving:
            found.update((address + key, serving) for address in node_ips)
    return found
