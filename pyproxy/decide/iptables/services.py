"""Write the chains of one ServicePort, and the rules that lead to them. No I/O.

In table nat: `PYPROXY-C-…` and `PYPROXY-L-…` balance over the cluster's and over this node's endpoints, `PYPROXY-X-…`
is what external traffic passes first, `PYPROXY-W-…` lets in those whom the source ranges name. An endpoint has a chain
`PYPROXY-E-…` only when it may call itself or remembers clients. Refusals are in table filter: nat can't refuse.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Final

from pyproxy.decide.chains import Policy
from pyproxy.model import keys
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Address, Prefix
from pyproxy.model.iptables import (
    PREFIX,
    ChainId,
    Chains,
    Chance,
    Comment,
    Goto,
    OfProtocol,
    Part,
    PutOnList,
    Remembered,
    Rule,
    Table,
    ToPorts,
    TranslateTo,
)
from pyproxy.model.ports import PortName
from pyproxy.model.program import Backends, Frontend, Program
from pyproxy.model.ruleset import Kind, Verdict

REJECT: Final = f"{PREFIX}REJECT"
_LONGEST_COMMENT: Final = 255
_HARMLESS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/:.-_")


def chains(name: PortName, program: Program, policy: Policy) -> Chains:
    """All chains of a ServicePort; none when it only refuses."""
    made: dict[str, list[Rule]] = {}
    internal = [f for f in program.frontends if not _external(f) and _balanced(f)]
    external = [f for f in program.frontends if _external(f)]
    seconds = max((f.affinity_seconds for f in program.frontends), default=0)
    short = any(f.short is not None for f in external)
    used = {f.backends for f in (*internal, *external)} | ({Backends.CLUSTER} if short else set())
    for backends in (Backends.CLUSTER, Backends.LOCAL):
        slots = program.cluster if backends is Backends.CLUSTER else program.local
        if backends in used and slots:
            outsiders = [rule for f in internal if f.backends is backends for rule in _masquerade_outsiders(f, policy)]
            made[_balancer(name, backends)] = [*outsiders, *_balance(name, slots, program, seconds)]
            for backend in dict.fromkeys(slots):
                if seconds or _calls_itself(backend, name, program):
                    made[_endpoint(name, backend)] = list(_reach(name, backend, program, policy, seconds))
    if external:
        made[_name("X", name)] = list(_enter(name, external[0], program, policy))
    for frontend in external:
        if frontend.sources:
            made[_name("W", name)] = [
                (rs.SourceIn(prefix), Goto(_name("X", name))) for prefix in sorted(frontend.sources, key=str)
            ]
    return {ChainId(Table.NAT, chain): tuple(rules) for chain, rules in made.items()}


def dispatch(name: PortName, frontend: Frontend) -> Rule | None:
    """The rule in table nat that leads a frontend's packets to its chain; None for one that only refuses."""
    if _external(frontend):
        return (*_to(frontend), _comment(name), Goto(_name("W" if frontend.sources else "X", name)))
    if _balanced(frontend):
        return (*_to(frontend), _comment(name), Goto(_balancer(name, frontend.backends)))
    return None


def refusals(name: PortName, frontend: Frontend) -> tuple[Rule, ...]:
    """The rules in table filter for a frontend: they see only what table nat did not translate."""
    drop: Rule = (*_to(frontend), _comment(name), rs.Drop())
    if isinstance(frontend.verdict, Verdict):
        return (drop,)
    if frontend.verdict.kind is not Kind.REJECT:
        return (drop,) if frontend.sources or not frontend.verdict.number else ()
    if not frontend.sources:
        return ((*_to(frontend), _comment(name), Goto(REJECT)),)
    allowed = [
        (rs.SourceIn(prefix), *_to(frontend), _comment(name), Goto(REJECT))
        for prefix in sorted(frontend.sources, key=str)
    ]
    return (*allowed, drop)


def _external(frontend: Frontend) -> bool:
    return not isinstance(frontend.verdict, Verdict) and frontend.verdict.kind in (Kind.EXTERNAL, Kind.LOCAL)


def _balanced(frontend: Frontend) -> bool:
    return not isinstance(frontend.verdict, Verdict) and frontend.verdict.kind is Kind.CLUSTER


def _to(frontend: Frontend) -> tuple[Part, ...]:
    address, protocol, port = keys.read_service(frontend.key)
    to_port = ToPorts(protocol, port, port)
    return (to_port,) if frontend.node_port else (rs.DestinationIn(_exactly(address)), to_port)


def _masquerade_outsiders(frontend: Frontend, policy: Policy) -> Iterator[Rule]:
    """Whoever is not a Pod of this node may be answered by another way than it came, unless the source is rewritten.

    Asked of the ClusterIP alone: external traffic comes to the same chain.
    """
    mark = rs.SetMark(policy.masquerade_mark)
    to = _to(frontend)
    if policy.masquerade_all:
        yield (*to, mark)
        return
    match policy.local_source:
        case rs.SourceIn(prefix):
            yield (rs.SourceIn(prefix, negated=True), *to, mark)
        case rs.InputInterface(name):
            yield (to[0], rs.InputInterface(name, negated=True), *to[1:], mark)
        case None:
            return


def _enter(name: PortName, frontend: Frontend, program: Program, policy: Policy) -> Iterator[Rule]:
    """Policy Cluster masquerades; policy Local keeps the source, and this node's own clients bypass it."""
    mark = rs.SetMark(policy.masquerade_mark)
    everything = Goto(_balancer(name, Backends.CLUSTER))
    if frontend.backends is Backends.CLUSTER:
        yield (mark,)
        yield (everything,)
        return
    if frontend.short is not None and program.cluster:
        if policy.local_source is not None:
            yield (policy.local_source, everything)
        yield (rs.SourceLocal(), mark)
        yield (rs.SourceLocal(), everything)
    if program.local:
        yield (Goto(_balancer(name, Backends.LOCAL)),)


def _balance(name: PortName, slots: tuple[bytes, ...], program: Program, seconds: int) -> Iterator[Rule]:
    """A remembered endpoint, else one by chance, as often as it has slots, in an order that tells nothing of the past.

    Nothing here draws by a hash: of a Maglev table only the shares remain.
    """
    shares = dict(sorted(Counter(slots).items()))
    if seconds:
        for backend in shares:
            chain = _endpoint(name, backend)
            yield Remembered(_list(name, backend), seconds), Goto(chain)
    left = len(slots)
    for backend, share in shares.items():
        chance: tuple[Part, ...] = (Chance(share, left),) if share < left else ()
        left -= share
        if seconds or _calls_itself(backend, name, program):
            yield (*chance, Goto(_endpoint(name, backend)))
        else:
            yield OfProtocol(name.protocol), *chance, TranslateTo(backend)


def _reach(name: PortName, backend: bytes, program: Program, policy: Policy, seconds: int) -> Iterator[Rule]:
    """An endpoint that calls itself must not see its own address as the caller's; a client may be remembered."""
    if _calls_itself(backend, name, program):
        address, _ = keys.read_endpoint(backend)
        yield rs.SourceIn(_exactly(address)), rs.SetMark(policy.masquerade_mark)
    remember: tuple[Part, ...] = (PutOnList(_list(name, backend)),) if seconds else ()
    yield OfProtocol(name.protocol), *remember, TranslateTo(backend)


def _calls_itself(backend: bytes, name: PortName, program: Program) -> bool:
    return keys.hairpin(backend, name.protocol) in program.hairpins


def _exactly(address: Address) -> Prefix:
    return Prefix(address, len(address) * 8)


def _balancer(name: PortName, backends: Backends) -> str:
    return _name("L" if backends is Backends.LOCAL else "C", name)


def _endpoint(name: PortName, backend: bytes) -> str:
    return _name("E", name, backend)


def _list(name: PortName, backend: bytes) -> str:
    """The kernel keeps the clients of an endpoint under the name of its chain."""
    return _endpoint(name, backend)


def _name(kind: str, name: PortName, backend: bytes = b"") -> str:
    """80 bits of a hash, as many as kube-proxy's names have: they must fit into 28 characters."""
    digest = hashlib.sha256(f"{name.service}:{name.port}:{name.protocol.name}".encode() + backend).digest()
    return f"{PREFIX}{kind}-{base64.b32encode(digest[:10]).decode()}"


def _comment(name: PortName) -> Comment:
    return Comment("".join(c if c in _HARMLESS else "_" for c in str(name)[:_LONGEST_COMMENT]))
