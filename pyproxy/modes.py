"""What each mode brings: how rules are decided, written and watched, and how what others left is taken away."""

import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from pyproxy import errors
from pyproxy.act import leftovers, parties
from pyproxy.act.iptables import programs, writer
from pyproxy.act.iptables.programs import BackEnd
from pyproxy.act.nftables.kernel import Kernel
from pyproxy.act.nftables.unheard import Unheard
from pyproxy.act.nftables.writer import Writer
from pyproxy.decide import ruleset as nftables
from pyproxy.decide.chains import Policy
from pyproxy.decide.iptables import ruleset as iptables
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Family
from pyproxy.observe.edits import Edits
from pyproxy.observe.tables import Tables
from pyproxy.report.metrics import Metrics

log = logging.getLogger(__name__)

T = TypeVar("T")


class Mode(Protocol[T]):
    """One way of holding the rules."""

    @property
    def families(self) -> tuple[Family, ...]:
        """Those it can hold the rules of, among those that it was asked for."""
        ...

    @property
    def writer(self) -> parties.Writer[T]:
        """What writes them."""
        ...

    def rules(self, policy: Policy) -> parties.Rules[T]:
        """A family's ruleset, empty."""
        ...

    def subscribe(self, touched: Callable[[], None]) -> None:
        """Be told when somebody else has changed them."""
        ...

    async def watch(self) -> None:
        """Look out for that until cancelled."""
        ...

    async def take_over(self) -> None:
        """Remove what other modes and a genuine kube-proxy left."""
        ...

    def report(self, metrics: Metrics) -> None:
        """Fill the metrics that this mode alone has."""
        ...


class Nftables:
    """Rules in a table of our own in nf_tables."""

    def __init__(self, kernel: Kernel, families: tuple[Family, ...]) -> None:
        self.families = families
        self._kernel = kernel
        self._tables = Tables(kernel.port)
        self.writer = Writer(Unheard(kernel, self._tables))

    def rules(self, policy: Policy) -> nftables.Ruleset:
        """A family's ruleset, empty."""
        return nftables.Ruleset(policy)

    def subscribe(self, touched: Callable[[], None]) -> None:
        """Be told when somebody else has changed the table."""
        self._tables.subscribe(touched)

    async def watch(self) -> None:
        """Listen until cancelled."""
        await self._tables.run()

    async def take_over(self) -> None:
        """Remove what else there is: with both, the older rules would win."""
        await leftovers.remove(self._kernel, but_table=rs.TABLE)

    def report(self, metrics: Metrics) -> None:
        """There are none."""


class Iptables:
    """Rules in chains of our own in the tables nat and filter of iptables."""

    def __init__(self, kernel: Kernel, chosen: programs.Programs, families: tuple[Family, ...]) -> None:
        self.families = families
        self._kernel = kernel
        self._back_end = chosen.back_end
        self.writer = writer.Writer(chosen)
        # The nft back end's tables are nf_tables: a change of anything there changes the generation.
        self._edits = Edits(self.writer.agrees, kernel.generation if chosen.back_end is BackEnd.NFT else None)

    def rules(self, policy: Policy) -> iptables.Ruleset:
        """A family's ruleset, empty."""
        return iptables.Ruleset(policy)

    def subscribe(self, touched: Callable[[], None]) -> None:
        """Be told when somebody else has changed our chains."""
        self._edits.subscribe(touched)

    async def watch(self) -> None:
        """Look until cancelled."""
        await self._edits.run()

    async def take_over(self) -> None:
        """Remove what else there is."""
        await leftovers.remove(self._kernel, but_back_end=self._back_end)

    def report(self, metrics: Metrics) -> None:
        """How many rules there are."""
        metrics.watch_rules(self.writer.rules)


async def of_iptables(kernel: Kernel, wanted: tuple[Family, ...]) -> Iptables:
    """The iptables mode with the back end this machine uses, for those of the families for which that works.

    Raises RulesetError when it works for none.
    """
    chosen = await programs.choose()
    log.info("iptables of back end %s", chosen.back_end.value or "unknown")
    refused = await chosen.refusals(wanted)
    families = tuple(family for family in wanted if family not in refused)
    if not families:
        raise errors.RulesetError("; ".join(refused.values()))
    for family, reason in refused.items():
        log.warning("%s is not served: %s", family.api_name, reason)
    return Iptables(kernel, chosen, families)
