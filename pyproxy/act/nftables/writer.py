"""Write the nftables ruleset, and find the way back when the kernel refuses."""

import logging
from typing import Protocol

from pyproxy import errors
from pyproxy.decide import clients
from pyproxy.model.address import Family
from pyproxy.model.transaction import Transaction

log = logging.getLogger(__name__)


class Kernel(Protocol):
    """nf_tables, or a fake."""

    def apply(self, transaction: Transaction, *, from_nothing: bool = False) -> None:
        """All of it or nothing; raises RulesetError."""
        ...

    def chain_names(self, family: Family) -> set[str]:
        """The chains there are in our table."""
        ...

    def forget_clients(self, change: Transaction) -> None:
        """Forget the clients with session affinity whose backend left with a change; raises RulesetError."""
        ...


class Writer:
    """Sends transactions. The kernel applies one while it is sent, in milliseconds: nothing is waited for."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def apply(self, change: Transaction) -> None:
        """All of it or nothing; raises RulesetError."""
        self._kernel.apply(change)
        if clients.are_left(change):
            self._kernel.forget_clients(change)

    async def replace(self, whole: Transaction) -> None:
        """Make it all there is in the table, whatever was there; raises RulesetError."""
        try:
            self._kernel.apply(whole)
        except errors.RulesetError as error:
            log.warning("%s; making the table from nothing", error)
            self._kernel.apply(whole, from_nothing=True)
        family = whole.family
        strangers = self._kernel.chain_names(family) - {chain.name for chain in whole.chains}
        if strangers:
            try:
                self._kernel.apply(Transaction(family, dropped_chains=tuple(sorted(strangers))))
            except errors.RulesetError as error:
                log.info("%s; empty chains of a former run stay for now", error)
