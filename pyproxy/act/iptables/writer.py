"""Write the ruleset of the iptables mode, and take away what is no longer wanted."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pyproxy.act.iptables.programs import Programs
from pyproxy.decide.iptables import listing, text
from pyproxy.decide.iptables.listing import Listing
from pyproxy.model.address import Family
from pyproxy.model.iptables import ChainId, Change, Table


class Writer:
    """Writes changes with one back end's programs, and knows what it has written."""

    def __init__(self, programs: Programs) -> None:
        self.programs = programs
        self._written: dict[Family, dict[ChainId, _Digest]] = {}
        self._last: dict[tuple[Family, Table], int] = {}
        self._hooks: dict[Family, frozenset[str]] = {}
        self._writes = 0

    async def apply(self, change: Change) -> None:
        """Write the chains a change names; raises RulesetError."""
        if change.fresh:
            await self.replace(change)
            return
        await self._restore(change, text.restore(change))
        written = self._written.setdefault(change.family, {})
        written.update(self._digests(change))
        for chain in change.dropped:
            written.pop(chain, None)

    async def replace(self, whole: Change) -> None:
        """Write everything in one restore, which also removes all other chains of ours; raises RulesetError."""
        there = await self.listing(whole.family)
        stale = there.rules.keys() - whole.chains.keys()
        await self._restore(whole, text.restore(whole, stale=stale, hooked=there.hooked))
        self._written[whole.family] = self._digests(whole)
        self._hooks[whole.family] = frozenset(text.hooks_of(whole))

    async def agrees(self) -> bool:
        """Whether all that was written is still there as it was; True when a write comes in between."""
        for family, written in self._written.items():
            writes = self._writes
            there = await self.listing(family)
            if writes != self._writes:
                return True
            hooked = {line for lines in there.hooked.values() for line in lines}
            if not self._hooks[family] <= hooked:
                return False
            if {chain: _Digest.of(lines) for chain, lines in there.rules.items()} != written:
                return False
        return True

    def rules(self, family: Family, table: Table) -> tuple[int, int]:
        """How many rules our chains have in a table: in all, and written the last time."""
        return _rules(self._written.get(family, {}), table), self._last.get((family, table), 0)

    async def listing(self, family: Family) -> Listing:
        """Our chains as they are now; raises RulesetError."""
        return listing.read(await self.programs.save(family), listing.ours)

    async def remove(self, family: Family, owned: Callable[[str], bool]) -> bool:
        """Remove each chain whose name is `owned`, and what leads there; whether there was any. Raises RulesetError."""
        there = listing.read(await self.programs.save(family), owned)
        if there:
            gone = text.restore(Change(family), stale=there.rules, hooked=there.hooked)
            await self.programs.restore(family, gone)
        return bool(there)

    async def _restore(self, change: Change, restored: str) -> None:
        self._writes += 1  # both before and after: a listing in between is of no use
        try:
            await self.programs.restore(change.family, restored)
        finally:
            self._writes += 1

    def _digests(self, change: Change) -> "dict[ChainId, _Digest]":
        made = {chain: _Digest.of(text.rules_of(chain, rules, change.family)) for chain, rules in change.chains.items()}
        for table in (Table.NAT, Table.FILTER):
            self._last[change.family, table] = _rules(made, table)
        return made


@dataclass(frozen=True, slots=True)
class _Digest:
    """Of what iptables-save prints for a chain; the text of all would be many times as much."""

    digest: int
    rules: int

    @staticmethod
    def of(lines: Iterable[str]) -> "_Digest":
        held = tuple(lines)
        return _Digest(hash(held), len(held))


def _rules(written: Mapping[ChainId, _Digest], table: Table) -> int:
    return sum(digest.rules for chain, digest in written.items() if chain.table is table)
