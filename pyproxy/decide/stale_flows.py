"""Say which conntrack flows of a ServicePort lead nowhere after a change. No I/O.

Connectionless flows live on in conntrack as long as their client keeps sending, wherever they once went.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pyproxy.model.address import Address
from pyproxy.model.program import Frontend


@dataclass(frozen=True, slots=True)
class Flow:
    """Flows of a frontend (a service key or node port key) to a backend; None means those never translated."""

    frontend: bytes
    backend: bytes | None


def of(frontends: Iterable[Frontend], before: frozenset[bytes], after: frozenset[bytes]) -> list[Flow]:
    """The flows to forget when a port's serving backends go from `before` to `after`.

    Only backends that no longer serve count: a change of policy or readiness leaves flows where they are, as with TCP.
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
