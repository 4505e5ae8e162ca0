"""What looking commands show of each mode: the text of a ruleset, and what the kernel holds of it."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, Protocol, TypeVar, assert_never

from pyproxy import wiring
from pyproxy.act import parties
from pyproxy.act.iptables import programs
from pyproxy.act.iptables.writer import Writer
from pyproxy.act.nftables.kernel import Kernel
from pyproxy.decide import differences, nft_text
from pyproxy.decide import ruleset as nftables
from pyproxy.decide.chains import Policy
from pyproxy.decide.iptables import listing, text
from pyproxy.decide.iptables import ruleset as iptables
from pyproxy.model import keys
from pyproxy.model.address import Address, Family
from pyproxy.model.iptables import Change
from pyproxy.model.options import Mode
from pyproxy.model.ruleset import Set
from pyproxy.model.transaction import Transaction

T = TypeVar("T")

_FRONTENDS = (Set.SERVICES, Set.NODE_PORTS, Set.SHORT_CIRCUITS, Set.NODE_PORT_SHORT_CIRCUITS)
_ENDPOINTS = (Set.ENDPOINTS, Set.NODE_PORT_ENDPOINTS, Set.SHORT_ENDPOINTS, Set.NODE_PORT_SHORT_ENDPOINTS)


class Page(Protocol[T]):
    """What one mode would write. Neither kernel nor programs are asked for it."""

    def rules(self, policy: Policy) -> parties.Rules[T]:
        """A family's ruleset, empty."""
        ...

    def text(self, whole: T) -> str:
        """What would be written."""
        ...


class View(Page[T], Protocol[T]):
    """One mode, and what the kernel holds of it."""

    @property
    def families(self) -> tuple[Family, ...]:
        """Those that are served on this machine."""
        ...

    def held(self) -> list[str]:
        """What the kernel has, a line each."""
        ...

    def held_for(self, address: Address | None, port: int) -> list[str]:
        """What the kernel has for an address and port, or for a NodePort."""
        ...

    def differences(self, whole: T) -> Iterator[str]:
        """A line for each difference between a family's ruleset and the kernel: `-` is lacking there, `+` is beyond."""
        ...


def page(mode: Mode) -> Page[Any]:
    """What a mode would write."""
    match mode:
        case Mode.NFTABLES:
            return NftablesPage()
        case Mode.IPTABLES:
            return IptablesPage()
        case _:
            assert_never(mode)


@contextlib.contextmanager
def of(mode: Mode) -> Iterator[View[Any]]:
    """The view of a mode; raises RulesetError."""
    match mode:
        case Mode.NFTABLES:
            kernel = Kernel()
            try:
                yield Nftables(kernel, wiring.families())
            finally:
                kernel.close()
        case Mode.IPTABLES:
            yield Iptables(wiring.families())
        case _:
            assert_never(mode)


def is_for(key: bytes, address: Address | None, port: int) -> bool:
    """Whether a frontend's key is of this address and port, or of this NodePort."""
    called, _, number = keys.read_service(key)
    return number == port and (called == address if address is not None else not called)


class NftablesPage:
    """The text of our tables."""

    def rules(self, policy: Policy) -> nftables.Ruleset:
        """A family's ruleset, empty."""
        return nftables.Ruleset(policy)

    def text(self, whole: Transaction) -> str:
        """As nft reads it."""
        return nft_text.write(whole)


class Nftables(NftablesPage):
    """The elements of our tables."""

    def __init__(self, kernel: Kernel, families: tuple[Family, ...]) -> None:
        self._kernel = kernel
        self.families = families

    def held(self) -> list[str]:
        """All elements."""
        return [
            f"{family.word} {one.spec.name}: {nft_text.element(one, key, value, family)}"
            for family in self.families
            for one in Set
            for key, value in self._kernel.elements(family, one).items()
        ]

    def held_for(self, address: Address | None, port: int) -> list[str]:
        """The elements of one frontend."""
        return [
            f"{one.spec.name}: {nft_text.element(one, key, value, family)}"
            for family in self.families
            for one in _FRONTENDS + _ENDPOINTS
            for key, value in self._kernel.elements(family, one).items()
            if is_for(key if one in _FRONTENDS else keys.read_slot(key)[0], address, port)
        ]

    def differences(self, whole: Transaction) -> Iterator[str]:
        """Of all sets but those the kernel fills itself."""
        family = whole.family
        for one in Set:
            if not one.spec.dynamic:
                held = self._kernel.elements(family, one)
                for line in differences.of(one, whole.added.get(one, {}), held, family):
                    yield f"{family.word} {line}"


class IptablesPage:
    """The text of our chains."""

    def rules(self, policy: Policy) -> iptables.Ruleset:
        """A family's ruleset, empty."""
        return iptables.Ruleset(policy)

    def text(self, whole: Change) -> str:
        """As iptables-restore reads it, or ip6tables-restore."""
        return f"# {whole.family.api_name}\n{text.restore(whole)}"


class Iptables(IptablesPage):
    """The rules of our chains."""

    def __init__(self, families: tuple[Family, ...]) -> None:
        async def read() -> dict[Family, listing.Listing]:
            writer = Writer(await programs.choose())
            refused = await writer.programs.refusals(families)
            return {family: await writer.listing(family) for family in families if family not in refused}

        self._held = asyncio.run(read())
        self.families = tuple(self._held)

    def held(self) -> list[str]:
        """All rules of our chains and those that lead to them."""
        return [
            f"{family.word} {table.value} {rule}"
            for family, found in self._held.items()
            for table, rules in found.by_table()
            for rule in rules
        ]

    def held_for(self, address: Address | None, port: int) -> list[str]:
        """The rules of one frontend, and of the chains that these lead to."""
        return [line for found in self._held.values() for line in listing.about(found, address, port)]

    def differences(self, whole: Change) -> Iterator[str]:
        """Of our chains, and of the rules that lead to them."""
        found = self._held.get(whole.family, listing.Listing())
        wanted = listing.read(text.saved(whole), listing.ours)
        for sign, mine, others in (("-", wanted, found), ("+", found, wanted)):
            there = {(table, rule) for table, rules in others.by_table() for rule in rules}
            for table, rules in mine.by_table():
                for rule in rules:
                    if (table, rule) not in there:
                        yield f"{sign}{whole.family.word} {table.value} {rule}"
