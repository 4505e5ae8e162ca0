"""When our iptables chains are looked at, in virtual time."""

import asyncio
from collections.abc import Callable

import pytest

from nodekit.aio import virtual
from pyproxy.observe.edits import Edits


class Chains:
    """Chains that somebody may change, with a stamp that tells of any change at all."""

    def __init__(self) -> None:
        self.stamp, self.looks, self.untouched, self.told = 7, 0, True, 0

    async def agree(self) -> bool:
        self.looks += 1
        return self.untouched

    def rewrite(self) -> None:
        self.told += 1
        self.untouched, self.stamp = True, self.stamp + 1


def _watch(chains: Chains, stamp: Callable[[], int] | None, then: Callable[[], None]) -> None:
    async def scenario() -> None:
        edits = Edits(chains.agree, stamp)
        edits.subscribe(chains.rewrite)
        task = asyncio.create_task(edits.run())
        await asyncio.sleep(10.5)
        then()
        await asyncio.sleep(10)
        task.cancel()

    virtual.run(scenario())


def test_nothing_is_listed_while_the_stamp_stays() -> None:
    chains = Chains()
    _watch(chains, lambda: chains.stamp, lambda: None)
    assert (chains.looks, chains.told) == (1, 0)


def test_without_a_stamp_they_are_looked_at_every_time() -> None:
    chains = Chains()
    _watch(chains, None, lambda: None)
    assert chains.looks == 20


@pytest.mark.parametrize("stamped", [True, False])
def test_an_edit_is_told_of_once(stamped: bool) -> None:
    chains = Chains()

    def edit() -> None:
        chains.untouched, chains.stamp = False, chains.stamp + 1

    _watch(chains, (lambda: chains.stamp) if stamped else None, edit)
    assert chains.told == 1
