"""Choose which endpoints of a ServicePort this node uses. No I/O.

Source: KEP-2433 and KEP-3015 (hints), KEP-1669 (terminating endpoints), KEP-2086 (internal traffic policy).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pyproxy.model.ports import Endpoint, ServicePort


@dataclass(frozen=True, slots=True)
class Place:
    """Where this node is; an unknown zone is empty."""

    node: str
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The endpoints for policy Cluster and for policy Local, each empty when no address has that policy.

    `anywhere` tells whether the Service has a usable endpoint on any node: it decides between refusing and dropping.
    """

    cluster: tuple[Endpoint, ...] = ()
    local: tuple[Endpoint, ...] = ()
    anywhere: bool = False


def choose(port: ServicePort, endpoints: Sequence[Endpoint], place: Place) -> Choice:
    """Ready endpoints near enough; else those still serving while they terminate, for each policy on its own."""
    ready = tuple(endpoint for endpoint in endpoints if endpoint.ready)
    fallback = tuple(endpoint for endpoint in endpoints if endpoint.fallback)
    cluster: tuple[Endpoint, ...] = ()
    local: tuple[Endpoint, ...] = ()
    if port.uses_cluster_endpoints:
        cluster = _near(ready, place) or fallback
    if port.uses_local_endpoints:
        local = tuple(endpoint for endpoint in ready if endpoint.local)
        local = local or tuple(endpoint for endpoint in fallback if endpoint.local)
    return Choice(cluster, local, anywhere=bool(ready or fallback))


def _near(ready: tuple[Endpoint, ...], place: Place) -> tuple[Endpoint, ...]:
    """A hint counts only when every ready endpoint has one and one of them names this node or zone."""
    if all(endpoint.nodes for endpoint in ready):
        here = tuple(endpoint for endpoint in ready if place.node in endpoint.nodes)
        if here:
            return here
    if all(endpoint.zones for endpoint in ready):
        here = tuple(endpoint for endpoint in ready if place.zone in endpoint.zones)
        if here:
            return here
    return ready
