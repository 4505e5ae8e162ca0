"""Large writes are made while nobody listens, and what somebody else does in that time is not lost."""

import asyncio
import contextlib
import errno
from collections.abc import Iterator

import pytest

from pyproxy.act.nftables.unheard import Unheard
from pyproxy.errors import RulesetError
from pyproxy.model.address import Family
from pyproxy.model.ruleset import Set
from pyproxy.model.transaction import Transaction
from pyproxy.observe.tables import Tables

SMALL = Transaction(Family.IPV4, added={Set.CLUSTER_IPS: {b"1": None}})
WHOLE = Transaction(Family.IPV4, fresh=True)


class Kernel:
    """Its generation is one more with each change; `others` change something right after ours."""

    def __init__(self, monitor: "Monitor", *, generation: int = 7, others: int = 0) -> None:
        self._monitor = monitor
        self._generation = generation
        self._others = others
        self.refuses = self.loses = False
        self.chains: dict[Family, set[str]] = {family: {"services"} for family in Family}
        self.heard: list[bool] = []

    def apply(self, transaction: Transaction, *, from_nothing: bool = False) -> None:
        if self.refuses:
            raise RulesetError("no")
        self.heard.append(self._monitor.listens)
        for _ in range(1 + self._others):
            self._generation = self._generation % 0xFFFFFFFF + 1

    def generation(self) -> int:
        if self.loses:
            raise OSError(errno.ENOBUFS, "no buffer space available")
        return self._generation

    def chain_names(self, family: Family) -> set[str]:
        return self.chains[family]

    def forget_clients(self, change: Transaction) -> None:
        return


class Monitor:
    def __init__(self) -> None:
        self.listens = True
        self.told: list[bool] = []
        self.gone: list[bool] = []

    @contextlib.contextmanager
    def deaf(self) -> Iterator[None]:
        self.listens = False
        try:
            yield
        finally:
            self.listens = True

    def listens_again(self, *, missed: bool, gone: bool) -> None:
        assert self.listens
        self.told.append(missed)
        self.gone.append(gone)


def test_a_small_change_is_heard_and_asks_for_nothing_more() -> None:
    monitor = Monitor()
    kernel = Kernel(monitor, others=1)
    Unheard(kernel, monitor).apply(SMALL)
    assert (kernel.heard, monitor.told) == ([True], [])


@pytest.mark.parametrize(
    ("generation", "others", "missed"),
    [
        pytest.param(7, 0, False, id="nobody else did anything"),
        pytest.param(7, 1, True, id="somebody did something right after it"),
        pytest.param(0xFFFFFFFF, 0, False, id="the numbers begin anew"),
    ],
)
def test_a_large_change_is_not_heard_but_what_others_did_is_noticed(generation: int, others: int, missed: bool) -> None:
    monitor = Monitor()
    kernel = Kernel(monitor, generation=generation, others=others)
    Unheard(kernel, monitor).apply(WHOLE)
    assert (kernel.heard, monitor.told) == ([False], [missed])


def test_not_to_know_counts_as_missed() -> None:
    monitor = Monitor()
    kernel = Kernel(monitor)
    kernel.loses = True
    Unheard(kernel, monitor).apply(WHOLE)
    assert monitor.told == [True]


def test_a_change_that_the_kernel_refuses_leaves_the_monitor_listening() -> None:
    monitor = Monitor()
    kernel = Kernel(monitor)
    kernel.refuses = True
    with pytest.raises(RulesetError):
        Unheard(kernel, monitor).apply(WHOLE)
    assert (monitor.listens, monitor.told) == (True, [])


def test_a_table_that_is_gone_is_told_of_whichever_family_was_written() -> None:
    monitor = Monitor()
    kernel = Kernel(monitor, others=1)
    unheard = Unheard(kernel, monitor)
    unheard.apply(WHOLE)
    kernel.chains[Family.IPV6].clear()
    unheard.apply(WHOLE)
    kernel.chains[Family.IPV4].clear()
    unheard.apply(Transaction(Family.IPV6, fresh=True))
    assert monitor.told == [True, True, True]
    assert monitor.gone == [False, False, True], "of IPv6 nothing was written before"


async def test_what_is_gone_is_not_waited_with_however_often_somebody_was_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delays: list[float] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda delay, *_: delays.append(delay))
    tables = Tables(own_port=0)
    for gone in (False, False, False, True, False):
        tables.listens_again(missed=True, gone=gone)
    tables._socket.close()
    assert delays == [0, 1, 2, 0, 8]
