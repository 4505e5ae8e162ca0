"""Turn a transaction into the messages of one nf_tables batch, each with a label that names it when it fails."""

from collections.abc import Iterator
from dataclasses import dataclass

from pyproxy.act.nftables import elements, sets, statements
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Family
from pyproxy.model.ruleset import Chain, Set
from pyproxy.model.transaction import Transaction
from pyproxy.netlink import wire
from pyproxy.netlink.wire import Flag, Message


@dataclass(frozen=True, slots=True)
class Command:
    """One message of a batch."""

    message: Message
    flags: Flag
    body: bytes
    label: str


_TABLE = wire.string(1, rs.TABLE)
_NONE = Flag(0)


def commands(transaction: Transaction, *, from_nothing: bool = False) -> Iterator[Command]:
    """The messages in order. `from_nothing` deletes the table first, which also frees it of sets of another shape."""
    family = transaction.family
    if transaction.fresh:
        yield from _fresh(transaction, family, from_nothing)
    else:
        for chain in transaction.chains:
            yield _new_chain(chain)
            yield Command(Message.DELRULE, _NONE, _TABLE + wire.string(2, chain.name), f"flush chain {chain.name}")
    for chain in transaction.chains:
        for number, one in enumerate(chain.rules):
            yield Command(
                Message.NEWRULE,
                Flag.CREATE | Flag.APPEND,
                statements.rule(one, chain.name, family),
                f"rule {number} of chain {chain.name}",
            )
    # Verdicts name chains, and a chain can only be named once it exists: chains come first.
    for where, gone in transaction.removed.items():
        for body in elements.bodies(where, gone):
            yield Command(Message.DELSETELEM, _NONE, body, f"remove from {where.spec.name}")
    for where, come in transaction.added.items():
        for body in elements.bodies(where, come):
            yield Command(Message.NEWSETELEM, Flag.CREATE, body, f"add to {where.spec.name}")
    for name in transaction.dropped_chains:
        yield Command(Message.DELCHAIN, _NONE, _TABLE + wire.string(3, name), f"delete chain {name}")


def delete_table(name: str = rs.TABLE) -> Command:
    """The removal of a whole table; ENOENT when there is none."""
    return Command(Message.DELTABLE, _NONE, wire.string(1, name), f"delete table {name}")


def _fresh(transaction: Transaction, family: Family, from_nothing: bool) -> Iterator[Command]:
    new_table = Command(Message.NEWTABLE, Flag.CREATE, _TABLE, f"add table {rs.TABLE}")
    yield new_table
    if from_nothing:
        yield delete_table()
        yield new_table
    counted = transaction.counting.sets
    made = {}
    for number, one in enumerate(Set, start=1):
        body = sets.declare(one.spec, family, number, counted=one in counted)
        made[one] = Command(Message.NEWSET, Flag.CREATE, body, f"add set {one.spec.name}")
    yield from made.values()
    if not from_nothing:
        yield Command(Message.DELRULE, _NONE, _TABLE, "flush all rules")
        # Another set in a set's place costs the kernel a fraction of removing its elements one by one.
        for one, new_set in made.items():
            if not one.spec.dynamic:
                yield Command(Message.DELSET, _NONE, sets.named(one.spec), f"delete set {one.spec.name}")
                yield new_set
    for chain in transaction.chains:
        yield _new_chain(chain)


def _new_chain(chain: Chain) -> Command:
    body = _TABLE + wire.string(3, chain.name)
    if chain.hook is not None:
        body += (
            wire.nest(4, wire.u32(1, chain.hook), wire.u32(2, chain.priority)) + wire.u32(5, 1) + wire.string(7, "nat")
        )
    return Command(Message.NEWCHAIN, Flag.CREATE, body, f"add chain {chain.name}")
