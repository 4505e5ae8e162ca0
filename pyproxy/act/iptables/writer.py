"""Write the ruleset of the iptables mode, and take away what is no longer wanted."""

from collections.abc import Callable

from pyproxy.act.iptables.programs import Programs
from pyproxy.decide.iptables import listing, text
from pyproxy.decide.iptables.listing import Listing
from pyproxy.model.address import Family
from pyproxy.model.iptables import Change


class Writer:
    """Writes changes with one back end's programs."""

    def __init__(self, programs: Programs) -> None:
        self.programs = programs

    async def apply(self, change: Change) -> None:
        """Write the chains a change names; raises RulesetError."""
        await self.programs.restore(change.family, text.restore(change))

    async def replace(self, whole: Change) -> None:
        """Write everything in one restore, which also removes all other chains of ours; raises RulesetError."""
        there = await self.listing(whole.family)
        stale = there.rules.keys() - whole.chains.keys()
        await self.programs.restore(whole.family, text.restore(whole, stale=stale, hooked=there.hooked))

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
