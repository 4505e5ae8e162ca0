"""Keep one family's ruleset of the iptables mode, and say what a change of a Service changes in it. No I/O.

The counterpart of `decide.ruleset`, of the same programs. A change rewrites the chains of the ServicePort that differ,
and a group's when a frontend comes, goes or gets another chain.
"""

from collections import Counter
from typing import assert_never

from pyproxy.decide.chains import Policy
from pyproxy.decide.claims import Claims
from pyproxy.decide.iptables import services, shared
from pyproxy.decide.iptables.shared import Group
from pyproxy.model import program as programs_
from pyproxy.model.iptables import ChainId, Chains, Change, Rule, Table
from pyproxy.model.ports import PortName
from pyproxy.model.program import Frontend, Program
from pyproxy.model.ruleset import ChainKey, Verdict


class Ruleset:
    """The programs of all ServicePorts, the groups their frontends are in, and what of it was taken last."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.programs: dict[PortName, Program] = {}
        self._claims = Claims()
        self._groups: dict[Group, dict[bytes, PortName]] = {}
        self._cluster_ips: dict[Group, Counter[bytes]] = {}
        self._in_use: dict[Group, frozenset[Table]] = {}
        self._health_checks: Counter[int] = Counter()
        self._before: dict[PortName, Program | None] = {}
        self._touched: set[Group] = set()
        self._taken_policy = policy
        self._base = shared.base(policy, (), ())

    def put(self, name: PortName, program: Program | None) -> None:
        """Give a ServicePort another program, or none."""
        before = self.programs.get(name)
        if program == before:
            return
        self._before.setdefault(name, before)
        old = {f.key: f for f in before.frontends} if before is not None else {}
        new = {f.key: f for f in program.frontends} if program is not None else {}
        freed = self._claims.withdraw(name, old)
        for key in freed:
            del self._groups[shared.group_of(key)][key]
        if program is None:
            del self.programs[name]
        else:
            self.programs[name] = program
        self._claims.claim(name, new)
        for key, frontend in new.items():
            if self._claims.owner(key) == name:
                self._groups.setdefault(shared.group_of(key), {})[key] = name
                if key not in freed or _face(old[key]) != _face(frontend):
                    self._touched.add(shared.group_of(key))
        for key in freed:
            if self._claims.owner(key) is None:
                self._touched.add(shared.group_of(key))
                heir = self._claims.inherit(key)
                if heir is not None:
                    self._groups[shared.group_of(key)][key] = heir
        self._count(program, +1)
        self._count(before, -1)

    def take(self) -> Change:
        """What has changed since the last time; everything when other rules of built-in chains have to lead to it."""
        if shared.hooks(self.policy) != shared.hooks(self._taken_policy):
            return self.whole()
        chains: Chains = {}
        dropped: list[ChainId] = []
        for name, before in self._before.items():
            now = self.programs.get(name)
            old = services.chains(name, before, self._taken_policy) if before is not None else {}
            new = services.chains(name, now, self.policy) if now is not None else {}
            _compare(old, new, chains, dropped)
        if self.policy != self._taken_policy:
            for name, program in self.programs.items():
                if name not in self._before:
                    old = services.chains(name, program, self._taken_policy)
                    _compare(old, services.chains(name, program, self.policy), chains, dropped)
        for group in self._touched:
            before_in_use = self._in_use.pop(group, frozenset())
            written = self._write_group(group)
            chains.update(written)
            dropped += [shared.group_chain(group, t) for t in before_in_use - {chain.table for chain in written}]
        base, self._base = self._base, self._base_now()
        _compare(base, self._base, chains, dropped)
        self._forget_changes()
        return Change(self.policy.family, chains=chains, dropped=tuple(dropped))

    def collect(self) -> Change:
        """Nothing: chains go in the change that stops using them."""
        return Change(self.policy.family)

    @property
    def idle(self) -> bool:
        """Whether `collect` would have something."""
        return False

    def without_local_endpoints(self) -> tuple[int, int]:
        """How many frontends drop because their policy is Local and this node has no endpoint: internal, external."""
        return programs_.without_local_endpoints(self.programs.values())

    def whole(self) -> Change:
        """Everything there is, as the change that makes it; forgets what `take` would have said."""
        chains: Chains = {}
        for name, program in self.programs.items():
            chains.update(services.chains(name, program, self.policy))
        self._in_use.clear()
        for group in list(self._groups):
            chains.update(self._write_group(group))
        self._base = self._base_now()
        chains.update(self._base)
        self._forget_changes()
        return Change(self.policy.family, fresh=True, chains=chains, hooks=shared.hooks(self.policy))

    def repolicy(self, policy: Policy) -> None:
        """Put a changed policy to use: the chains it rewrites are in the next change."""
        self.policy = policy

    def _forget_changes(self) -> None:
        self._before.clear()
        self._touched.clear()
        self._taken_policy = self.policy

    def _base_now(self) -> Chains:
        groups = ((table, group) for group, used in self._in_use.items() for table in used)
        return shared.base(self.policy, groups, self._health_checks)

    def _write_group(self, group: Group) -> Chains:
        """A group's chains, none that is empty; notes which there are."""
        owned = self._groups.get(group, {})
        frontends = [(name, self._frontend(name, key)) for key, name in sorted(owned.items())]
        ways = tuple(rule for name, f in frontends if (rule := services.dispatch(name, f)) is not None)
        refusals: list[Rule] = [rule for name, f in frontends for rule in services.refusals(name, f)]
        refusals += [shared.unserved(ip) for ip in sorted(self._cluster_ips.get(group, ()))]
        made = {Table.NAT: ways, Table.FILTER: tuple(refusals)}
        used = frozenset(table for table, rules in made.items() if rules)
        if used:
            self._in_use[group] = used
        if not owned:
            self._groups.pop(group, None)
        return {shared.group_chain(group, table): made[table] for table in made if table in used}

    def _frontend(self, name: PortName, key: bytes) -> Frontend:
        return next(f for f in self.programs[name].frontends if f.key == key)

    def _count(self, program: Program | None, step: int) -> None:
        if program is None:
            return
        if program.health_check_port:
            self._health_checks[program.health_check_port] += step
            self._health_checks = +self._health_checks
        if not program.cluster_ip:
            return
        group = shared.group_of_address(program.cluster_ip)
        counted = self._cluster_ips.setdefault(group, Counter())
        had = counted[program.cluster_ip] > 0
        counted[program.cluster_ip] += step
        has = counted[program.cluster_ip] > 0
        if had != has:
            self._touched.add(group)
        if not has:
            del counted[program.cluster_ip]


def _face(frontend: Frontend) -> tuple[object, ...]:
    """What the rules of a group depend on, so that a change of endpoints alone leaves them be."""
    match frontend.verdict:
        case Verdict():
            return (frontend.verdict,)
        case ChainKey(kind, number):
            return kind, number > 0, frontend.backends, frontend.sources
    assert_never(frontend.verdict)


def _compare(old: Chains, new: Chains, chains: Chains, dropped: list[ChainId]) -> None:
    chains.update((chain, rules) for chain, rules in new.items() if old.get(chain) != rules)
    dropped += [chain for chain in old if chain not in new]
