"""Gather element changes until they are sent: what cancels out is not sent at all. No I/O."""

from collections.abc import Iterable
from typing import Final

from pyproxy.model.address import Family
from pyproxy.model.ruleset import Chain, ChainKey, Element, Set
from pyproxy.model.transaction import Transaction

Item = tuple[Set, bytes, Element]

_ABSENT: Final = object()


class Changes:
    """The first and the last value of every element that was touched, and the shared chains now needed.

    Elements are not `noted` as long as the whole is sent next, whatever they are.
    """

    def __init__(self, *, noted: bool = True) -> None:
        self.noted = noted
        self.chains: dict[ChainKey, None] = {}
        self.rewritten: dict[str, Chain] = {}
        self._before: dict[tuple[Set, bytes], object] = {}
        self._after: dict[tuple[Set, bytes], object] = {}

    def add(self, one: Set, key: bytes, value: Element) -> None:
        """An element appears, or has another value after a `remove` of the old one."""
        if not self.noted:
            return
        self._before.setdefault((one, key), _ABSENT)
        self._after[one, key] = value

    def remove(self, one: Set, key: bytes, value: Element) -> None:
        """An element goes; `value` is what it held."""
        if not self.noted:
            return
        self._before.setdefault((one, key), value)
        self._after[one, key] = _ABSENT

    def add_all(self, items: Iterable[Item]) -> None:
        """Elements appear."""
        if self.noted:
            for item in items:
                self.add(*item)

    def transaction(self, family: Family, chains: list[Chain]) -> Transaction:
        """The net effect as one batch that also writes `chains`."""
        removed: dict[Set, list[bytes]] = {}
        added: dict[Set, dict[bytes, Element]] = {}
        for (one, key), before in self._before.items():
            after = self._after[one, key]
            if before is not _ABSENT and before != after:
                removed.setdefault(one, []).append(key)
            if after is not _ABSENT and before != after:
                added.setdefault(one, {})[key] = after  # type: ignore[assignment]
        return Transaction(
            family,
            chains=tuple({**{chain.name: chain for chain in chains}, **self.rewritten}.values()),
            removed={one: tuple(keys) for one, keys in removed.items()},
            added=added,
        )
