"""Say in words what serves an address and port: which Service, which endpoints, why each is in or out. No I/O."""

from collections.abc import Iterator, Sequence

from pyproxy.decide import topology
from pyproxy.decide.topology import Choice, Place
from pyproxy.model import address as addresses
from pyproxy.model import keys
from pyproxy.model.ports import Endpoint, ServicePort
from pyproxy.model.program import Backends, Frontend, Program
from pyproxy.model.ruleset import ChainKey, Kind, Verdict


def lines(port: ServicePort, endpoints: Sequence[Endpoint], program: Program, place: Place) -> Iterator[str]:
    """A Service port's story, for every frontend it has."""
    yield f"Service {port.name.service}, port {port.name.port or '(unnamed)'}: {port.name.protocol.name} {port.port}"
    if port.affinity_seconds:
        yield f"  a client keeps its endpoint for {port.affinity_seconds} s after its last connection"
    choice = topology.choose(port, endpoints, place)
    for frontend in program.frontends:
        yield f"  {where(frontend)}: {_does(frontend)}"
    yield f"  endpoints: {len(endpoints)}"
    for endpoint in endpoints:
        yield f"    {addresses.with_port(endpoint.address, endpoint.port)}: {_part(endpoint, choice, program, place)}"


def where(frontend: Frontend) -> str:
    """The frontend as people write it."""
    address, _, port = keys.read_service(frontend.key)
    return f"NodePort {port}" if frontend.node_port else addresses.with_port(address, port)


def _does(frontend: Frontend) -> str:
    if isinstance(frontend.verdict, Verdict):
        return "drops: its policy is Local and no endpoint is on this node"
    said = _chain(frontend.verdict)
    if frontend.short is not None:
        said += f"; clients on this node reach any of {frontend.short.number}"
    if frontend.sources:
        said += f"; only from {', '.join(map(str, frontend.sources))}"
    return said


def _chain(chain: ChainKey) -> str:
    match chain.kind:
        case Kind.REJECT:
            return "refuses: no endpoint anywhere"
        case Kind.LOCAL if not chain.number:
            return "drops what comes from outside: its policy is Local and no endpoint is on this node"
        case Kind.LOCAL:
            return f"balances over {chain.number} on this node"
        case Kind.EXTERNAL:
            return f"balances over {chain.number}, masqueraded"
        case _:
            return f"balances over {chain.number}"


def _part(endpoint: Endpoint, choice: Choice, program: Program, place: Place) -> str:
    packed = keys.endpoint(endpoint.address, endpoint.port)
    used = []
    for kind, slots in ((Backends.CLUSTER, program.cluster), (Backends.LOCAL, program.local)):
        if packed in slots:
            used.append(f"slot {slots.index(packed)} of {kind.value}")
    here = " (on this node)" if endpoint.local else ""
    if used:
        why = "" if endpoint.ready else ", terminating but nothing better is there"
        return f"in: {', '.join(used)}{why}{here}"
    return f"out: {_why_not(endpoint, choice, place)}{here}"


def _why_not(endpoint: Endpoint, choice: Choice, place: Place) -> str:
    if not endpoint.ready:
        if endpoint.fallback:
            return "it is terminating, and others are ready"
        return "it is terminating" if endpoint.terminating else "it is not ready"
    if choice.cluster and any(other.nodes for other in choice.cluster) and place.node not in endpoint.nodes:
        return f"hints keep it for nodes {', '.join(sorted(endpoint.nodes))}"
    if choice.cluster and endpoint.zones and place.zone not in endpoint.zones:
        return f"hints keep it for zones {', '.join(sorted(endpoint.zones))}"
    return "the traffic policy is Local and it is on another node"
