"""Keep one family's ruleset, and say what a change of a Service changes in it. No I/O.

A change costs as much as the Service it is about, whatever else there is. The whole can be had at any time, as the
transaction that makes it from nothing.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest

from pyproxy.decide import chains
from pyproxy.decide.chains import Policy
from pyproxy.decide.changes import Changes, Item
from pyproxy.decide.claims import Claims
from pyproxy.model import keys
from pyproxy.model import program as programs_
from pyproxy.model.ports import PortName
from pyproxy.model.program import Frontend, Program
from pyproxy.model.ruleset import Chain, ChainKey, Element, Kind, Set, Verdict
from pyproxy.model.transaction import Transaction


class Ruleset:
    """The programs of all ServicePorts, and what they share: frontends claimed, chains, ClusterIPs, hairpins."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.programs: dict[PortName, Program] = {}
        self._claims = Claims()
        self._cluster_ips: Counter[bytes] = Counter()
        self._hairpins: Counter[bytes] = Counter()
        self._uses: Counter[ChainKey] = Counter()
        self._idle: set[ChainKey] = set()
        self._aging: set[ChainKey] = set()
        self._changes = Changes(noted=False)
        self._base = chains.base(policy, learning=False)

    def put(self, name: PortName, program: Program | None) -> None:
        """Give a ServicePort another program, or none."""
        before = self.programs.get(name)
        if program == before:
            return
        freed = self._claims.withdraw(name, _keys(before))
        self._count(program, before)
        if program is None:
            del self.programs[name]
        else:
            self.programs[name] = program
        self._claims.claim(name, _keys(program))
        self._edit(name, program, before, freed)
        for key in freed:
            if self._claims.owner(key) is None:
                self._inherit(key)

    def take(self) -> Transaction:
        """What has changed since the last time, as one transaction; the first time that is the whole."""
        if not self._changes.noted:
            return self.whole()
        base, self._base = self._base, self._base_now()
        self._changes.rewritten.update((new.name, new) for old, new in zip(base, self._base, strict=True) if old != new)
        changes, self._changes = self._changes, Changes()
        made = [key for key in changes.chains if self._uses[key] > 0 and key not in self._idle]
        return changes.transaction(self.policy.family, [chains.shared(key, self.policy) for key in made])

    def collect(self) -> Transaction:
        """The removal of shared chains unused since the last call.

        Kernels before 6.2 still count a reference for a moment after the map element that held it is gone.
        """
        ready = sorted(self._idle & self._aging, key=str)
        self._idle.difference_update(ready)
        self._aging = set(self._idle)
        for key in ready:
            del self._uses[key]
        return Transaction(self.policy.family, dropped_chains=tuple(key.name for key in ready))

    @property
    def idle(self) -> bool:
        """Whether there are shared chains that nothing uses."""
        return bool(self._idle)

    def without_local_endpoints(self) -> tuple[int, int]:
        """How many frontends drop because their policy is Local and this node has no endpoint: internal, external."""
        return programs_.without_local_endpoints(self.programs.values())

    def owned(self) -> list[tuple[PortName, Frontend, Program]]:
        """Every frontend that is in force, with the port it belongs to and that port's program."""
        pairs = ((name, program, frontend) for name, program in self.programs.items() for frontend in program.frontends)
        return [
            (name, frontend, program) for name, program, frontend in pairs if self._claims.owner(frontend.key) == name
        ]

    def chain_names(self) -> set[str]:
        """The names of all chains the kernel should have."""
        return {key.name for key in self._uses} | {chain.name for chain in self._base}

    def whole(self) -> Transaction:
        """Everything there is, as the transaction that makes it; forgets what `take` would have said."""
        self._changes = Changes()
        self._idle.clear()
        self._uses = +self._uses
        added: dict[Set, dict[bytes, Element]] = {}
        for name, program in self.programs.items():
            for one, key, value in self._items(name, program):
                added.setdefault(one, {})[key] = value
        for one, counted in ((Set.CLUSTER_IPS, self._cluster_ips), (Set.HAIRPINS, self._hairpins)):
            if counted:
                added[one] = dict.fromkeys(counted)
        if self.policy.node_port_ips:
            added[Set.NODE_PORT_IPS] = dict.fromkeys(self.policy.node_port_ips)
        made = [chains.shared(key, self.policy) for key in sorted(self._uses, key=str)]
        self._base = self._base_now()
        chains_now = (*made, *self._base)
        return Transaction(self.policy.family, True, chains_now, {}, added, counting=self.policy.counting)

    def repolicy(self, policy: Policy) -> None:
        """Put a changed policy to use: the chains it rewrites and the NodePort addresses are in the next change."""
        before, self.policy = self.policy, policy
        pairs = [(chains.shared(key, before), chains.shared(key, policy)) for key in self._uses]
        self._changes.rewritten.update((new.name, new) for old, new in pairs if old != new)
        gone, come = set(before.node_port_ips or ()), set(policy.node_port_ips or ())
        for address in gone - come:
            self._changes.remove(Set.NODE_PORT_IPS, address, None)
        for address in come - gone:
            self._changes.add(Set.NODE_PORT_IPS, address, None)

    def _base_now(self) -> tuple[Chain, ...]:
        learning = any(uses > 0 for key, uses in self._uses.items() if key.kind is Kind.LEARN)
        return chains.base(self.policy, learning=learning)

    def _inherit(self, key: bytes) -> None:
        heir = self._claims.inherit(key)
        if heir is None:
            return
        program = self.programs[heir]
        for frontend in program.frontends:
            if frontend.key == key:
                self._use(frontend, +1)
                self._changes.add_all(frontend_items(frontend, program))

    # What the kernel is told.

    def _items(self, name: PortName, program: Program) -> Iterator[Item]:
        for frontend in program.frontends:
            if self._claims.owner(frontend.key) == name:
                yield from frontend_items(frontend, program)

    def _edit(self, name: PortName, program: Program | None, before: Program | None, freed: list[bytes]) -> None:
        old: dict[bytes, Frontend] = {}
        if before is not None:
            old = {frontend.key: frontend for frontend in before.frontends if frontend.key in freed}
        for frontend in program.frontends if program is not None else ():
            if self._claims.owner(frontend.key) != name:
                continue
            self._use(frontend, +1)
            previous = old.pop(frontend.key, None)
            assert program is not None
            if previous is None or before is None:
                self._changes.add_all(frontend_items(frontend, program))
                continue
            self._use(previous, -1)
            self._replace(frontend_items(previous, before), frontend_items(frontend, program))
        for previous in old.values():
            assert before is not None
            self._use(previous, -1)
            for item in frontend_items(previous, before):
                self._changes.remove(*item)

    def _replace(self, before: Iterator[Item], after: Iterator[Item]) -> None:
        """Items of an unchanged slot come out in the same order, so most are told apart without a table."""
        gone: dict[tuple[Set, bytes], Element] = {}
        come: dict[tuple[Set, bytes], Element] = {}
        for left, right in zip_longest(before, after):
            if left == right:
                continue
            if left is not None:
                gone[left[0], left[1]] = left[2]
            if right is not None:
                come[right[0], right[1]] = right[2]
        for (one, key), value in gone.items():
            if (one, key) not in come or come[one, key] != value:
                self._changes.remove(one, key, value)
        for (one, key), value in come.items():
            if (one, key) not in gone or gone[one, key] != value:
                self._changes.add(one, key, value)

    def _use(self, frontend: Frontend, step: int) -> None:
        for key in _chains(frontend):
            self._uses[key] += step
            if step > 0 and self._uses[key] == step:
                # An idle chain is still in the kernel, whole.
                if key in self._idle:
                    self._idle.discard(key)
                else:
                    self._changes.chains[key] = None
            elif self._uses[key] == 0:
                if key in self._changes.chains:
                    del self._changes.chains[key]
                    del self._uses[key]
                else:
                    self._idle.add(key)

    def _count(self, program: Program | None, before: Program | None) -> None:
        for one, counted, new, old in (
            (
                Set.CLUSTER_IPS,
                self._cluster_ips,
                {program.cluster_ip} if program is not None else set(),
                {before.cluster_ip} if before is not None else set(),
            ),
            (
                Set.HAIRPINS,
                self._hairpins,
                program.hairpins if program is not None else frozenset(),
                before.hairpins if before is not None else frozenset(),
            ),
        ):
            for key in new - old:
                counted[key] += 1
                if counted[key] == 1:
                    self._changes.add(one, key, None)
            for key in old - new:
                counted[key] -= 1
                if counted[key] == 0:
                    del counted[key]
                    self._changes.remove(one, key, None)


def _keys(program: Program | None) -> list[bytes]:
    return [frontend.key for frontend in program.frontends] if program is not None else []


def _chains(frontend: Frontend) -> Iterator[ChainKey]:
    if not isinstance(frontend.verdict, Verdict):
        yield frontend.verdict
    if frontend.short is not None:
        yield frontend.short
    if frontend.affinity_seconds:
        yield ChainKey(Kind.LEARN, frontend.affinity_seconds, frontend.node_port)


def frontend_items(frontend: Frontend, program: Program) -> Iterator[Item]:
    """Every element that a frontend owns: all of them carry its key."""
    node_port, key = frontend.node_port, frontend.key
    yield Set.NODE_PORTS if node_port else Set.SERVICES, key, frontend.verdict
    backends = program.backends(frontend)
    one = Set.NODE_PORT_ENDPOINTS if node_port else Set.ENDPOINTS
    if frontend.short is not None:
        yield Set.NODE_PORT_SHORT_CIRCUITS if node_port else Set.SHORT_CIRCUITS, key, frontend.short
    for prefix in frontend.sources:
        yield Set.SOURCE_RANGES, key + prefix.address, key + prefix.last
    if frontend.affinity_seconds:
        learn = ChainKey(Kind.LEARN, frontend.affinity_seconds, node_port)
        yield Set.NODE_PORT_AFFINITY_TIMEOUTS if node_port else Set.AFFINITY_TIMEOUTS, key, learn
        valid = Set.NODE_PORT_AFFINITY_ENDPOINTS if node_port else Set.AFFINITY_ENDPOINTS
        for backend in dict.fromkeys((*backends, *(program.cluster if frontend.short is not None else ()))):
            yield valid, key + backend, None
    for number, backend in enumerate(backends):
        yield one, keys.slot(key, number), backend
    if frontend.short is not None:
        one = Set.NODE_PORT_SHORT_ENDPOINTS if node_port else Set.SHORT_ENDPOINTS
        for number, backend in enumerate(program.cluster):
            yield one, keys.slot(key, number), backend
