"""The ruleset of the iptables mode as values: matches and targets, rules, chains, a change. No I/O.

Readers give them meaning as they do for `model.ruleset`, some of whose statements are used here too:
`decide.iptables.text` writes them for iptables-restore, and `decide.iptables.trace` walks packets through them.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pyproxy.model import ruleset as rs
from pyproxy.model.address import Family
from pyproxy.model.ports import Protocol

PREFIX: Final = "PYPROXY-"
LONGEST_NAME: Final = 28  # XT_EXTENSION_MAXNAMELEN less the end of the string


class Table(enum.Enum):
    """The tables that are written, in the order in which they are."""

    NAT = "nat"
    FILTER = "filter"
    MANGLE = "mangle"  # the genuine proxy has a chain there; we write none


class ChainId(NamedTuple):
    """A chain of a table, ours or built in."""

    table: Table
    name: str


class State(enum.Enum):
    """What conntrack says of a packet's connection; the value is the word of `--ctstate`."""

    NEW = "NEW"
    ESTABLISHED = "ESTABLISHED"
    RELATED = "RELATED"
    INVALID = "INVALID"
    DNAT = "DNAT"


@dataclass(frozen=True, slots=True)
class OfProtocol:
    """-p protocol"""

    protocol: Protocol


@dataclass(frozen=True, slots=True)
class ToPorts:
    """-p protocol -m protocol --dport first[:last]"""

    protocol: Protocol
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class InState:
    """-m conntrack [!] --ctstate states"""

    states: tuple[State, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Chance:
    """-m statistic: `weight` times out of `of`."""

    weight: int
    of: int


@dataclass(frozen=True, slots=True)
class Remembered:
    """-m recent --rcheck --seconds N --reap: the source is on the list `name` and was put there less than that ago."""

    name: str
    seconds: int


@dataclass(frozen=True, slots=True)
class PutOnList:
    """-m recent --set: the source is put on the list `name`. Always matches."""

    name: str


@dataclass(frozen=True, slots=True)
class Comment:
    """-m comment: for whoever reads the rules."""

    text: str


@dataclass(frozen=True, slots=True)
class Goto:
    """-g chain: at its end the packet goes on where this chain was jumped to."""

    chain: str


@dataclass(frozen=True, slots=True)
class TranslateTo:
    """-j DNAT to a backend, as `keys.endpoint` makes it."""

    backend: bytes


@dataclass(frozen=True, slots=True)
class Accept:
    """-j ACCEPT"""


Part = (
    rs.SourceIn
    | rs.DestinationIn
    | rs.InputInterface
    | rs.SourceLocal
    | rs.DestinationLocal
    | rs.Marked
    | rs.OverTcp
    | OfProtocol
    | ToPorts
    | InState
    | Chance
    | Remembered
    | PutOnList
    | Comment
    | rs.SetMark
    | rs.FlipMark
    | rs.Masquerade
    | rs.Reject
    | rs.Reset
    | rs.Drop
    | rs.Jump
    | Goto
    | TranslateTo
    | Accept
)
Rule = tuple[Part, ...]
"""Matches in the order of iptables-save (addresses, interface, protocol, then the rest), and at the end a target."""

Chains = dict[ChainId, tuple[Rule, ...]]


@dataclass(frozen=True, slots=True)
class Change:
    """What one restore changes in one family: each chain named is emptied and written, the dropped ones go.

    A `fresh` one is all there is: it also has the `hooks`, the rules of built-in chains that lead to ours, and whoever
    applies it removes every other chain of ours.
    """

    family: Family
    fresh: bool = False
    chains: Mapping[ChainId, tuple[Rule, ...]] = field(default_factory=dict)
    dropped: tuple[ChainId, ...] = ()
    hooks: tuple[tuple[ChainId, Rule], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.fresh or self.chains or self.dropped)
