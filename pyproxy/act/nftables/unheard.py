"""Large writes that our own monitor does not hear, for a listener costs the kernel a page for each element."""

from contextlib import AbstractContextManager
from typing import Final, Protocol

from pyproxy import errors
from pyproxy.act.nftables import writer
from pyproxy.model.address import Family
from pyproxy.model.transaction import Transaction

_LARGE: Final = 1000
_LAST_GENERATION: Final = 0xFFFFFFFF


class Kernel(writer.Kernel, Protocol):
    """nf_tables, or a fake."""

    def generation(self) -> int:
        """A number that is one more with every change anybody makes to any table; raises OSError."""
        ...


class Monitor(Protocol):
    """Who listens for what others do (observe.tables)."""

    def deaf(self) -> AbstractContextManager[None]:
        """Hear nothing while the block runs."""
        ...

    def listens_again(self, *, missed: bool, gone: bool) -> None:
        """After such a block: whether somebody may have done something in it, and whether a table of ours is gone."""
        ...


class Unheard:
    """A kernel whose large transactions the monitor does not hear."""

    def __init__(self, kernel: Kernel, monitor: Monitor) -> None:
        self._kernel = kernel
        self._monitor = monitor
        self._written: set[Family] = set()

    def apply(self, transaction: Transaction, *, from_nothing: bool = False) -> None:
        """As the kernel's own."""
        if not transaction.fresh and transaction.size <= _LARGE:
            self._kernel.apply(transaction, from_nothing=from_nothing)
            return
        with self._monitor.deaf():
            before = self._generation()
            self._kernel.apply(transaction, from_nothing=from_nothing)
        self._written.add(transaction.family)
        # Whoever waited for our change to be made got his turn right after it, before we could listen again.
        missed = before is None or self._generation() != before % _LAST_GENERATION + 1
        self._monitor.listens_again(missed=missed, gone=missed and self._is_gone())

    def chain_names(self, family: Family) -> set[str]:
        """As the kernel's own."""
        return self._kernel.chain_names(family)

    def forget_clients(self, change: Transaction) -> None:
        """As the kernel's own."""
        self._kernel.forget_clients(change)

    def _is_gone(self) -> bool:
        try:
            return not all(map(self._kernel.chain_names, self._written))
        except (errors.RulesetError, OSError):
            return True

    def _generation(self) -> int | None:
        try:
            return self._kernel.generation()
        except OSError:  # the answer was lost
            return None
