"""Walk a packet through the ruleset of the iptables mode as the kernel would. No I/O.

`Machine` is also the fake kernel of tests: it refuses what iptables-restore refuses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from pyproxy.decide.trace import Fate, Packet
from pyproxy.model import iptables as ipt
from pyproxy.model import keys
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Address
from pyproxy.model.iptables import ChainId, Change, Rule, State, Table

_ONLY_IN: Final[Mapping[type, Table]] = {
    rs.Masquerade: Table.NAT,
    ipt.TranslateTo: Table.NAT,
    rs.Drop: Table.FILTER,
    rs.Reject: Table.FILTER,
    rs.Reset: Table.FILTER,
    ipt.Accept: Table.FILTER,
}
_BUILT_IN: Final = {
    Table.NAT: ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    Table.FILTER: ("INPUT", "FORWARD", "OUTPUT"),
}


@dataclass
class Machine:
    """A kernel of dictionaries: changes are applied to it, packets walk through it."""

    local: frozenset[Address] = frozenset()
    chains: dict[ChainId, tuple[Rule, ...]] = field(
        default_factory=lambda: {ChainId(table, name): () for table, names in _BUILT_IN.items() for name in names}
    )
    lists: dict[str, set[Address]] = field(default_factory=dict)
    draws: int = 0  # which slot a balancing chain draws, modulo how many it has

    def apply(self, change: Change) -> None:
        """Apply a change, refusing what iptables-restore would refuse."""
        dropped = set(change.dropped)
        if change.fresh:
            dropped |= {chain for chain in self.chains if chain.name.startswith(ipt.PREFIX)} - change.chains.keys()
            for chain in self.chains:
                if not chain.name.startswith(ipt.PREFIX):
                    self.chains[chain] = ()
        for chain, rule in change.hooks:
            self.chains[chain] = (rule, *self.chains[chain])
        assert not dropped & change.chains.keys()
        self.chains.update(change.chains)
        for chain in dropped:
            del self.chains[chain]
        for chain, rules in self.chains.items():
            assert len(chain.name) <= ipt.LONGEST_NAME, chain
            for part in (part for rule in rules for part in rule):
                if isinstance(part, rs.Jump | ipt.Goto):
                    assert ChainId(chain.table, part.chain) in self.chains, f"no chain {part.chain}, from {chain}"
                assert _ONLY_IN.get(type(part), chain.table) is chain.table, f"{part} in {chain}"

    def send(self, packet: Packet) -> Fate:
        """A new connection, from this machine or from outside, to this machine or through it."""
        ours = packet.source in self.local
        walk = _Walk(self, packet)
        walk.run(Table.NAT, "OUTPUT" if ours else "PREROUTING")
        walk.packet = replace(walk.packet, original=packet)
        to_us = walk.packet.destination in self.local
        passes = ["OUTPUT"] if ours else []
        passes += ["INPUT"] if to_us else []
        for hook in passes or ["FORWARD"]:
            if not walk.run(Table.FILTER, hook):
                return replace(walk.fate, backend=None)
        if ours or not to_us:
            walk.run(Table.NAT, "POSTROUTING")
        return replace(walk.fate, mark=walk.packet.mark)

    def forget_clients(self) -> None:
        """As if every list's time were up."""
        self.lists.clear()


class _Stop(Exception):
    pass


@dataclass
class _Walk:
    machine: Machine
    packet: Packet
    fate: Fate = field(default_factory=Fate)
    lot: int | None = None

    def run(self, table: Table, hook: str) -> bool:
        """Run a built-in chain; whether the packet goes on."""
        try:
            self._chain(ChainId(table, hook))
        except _Stop:
            return self.fate.verdict == "accept"
        return True

    def _chain(self, chain: ChainId) -> None:
        for rule in self.machine.chains[chain]:
            if self._rule(rule, chain.table):
                return

    def _rule(self, rule: Rule, table: Table) -> bool:
        """True when a goto ended the chain."""
        *matches, target = rule
        if not all(self._matches(match) for match in matches):
            return False
        match target:
            case rs.SetMark(mask):
                self.packet = replace(self.packet, mark=self.packet.mark | mask)
            case rs.FlipMark(mask):
                self.packet = replace(self.packet, mark=self.packet.mark ^ mask)
            case rs.Masquerade():
                self.fate = replace(self.fate, masqueraded=True)
                raise _Stop
            case ipt.TranslateTo(backend):
                address, port = keys.read_endpoint(backend)
                self.packet = replace(self.packet, destination=address, port=port)
                self.fate = replace(self.fate, backend=backend)
                raise _Stop
            case rs.Drop():
                self._end("drop")
            case rs.Reject() | rs.Reset():
                self._end("reject")
            case ipt.Accept():
                raise _Stop
            case rs.Jump(chain):
                self._chain(ChainId(table, chain))
            case ipt.Goto(chain):
                self._chain(ChainId(table, chain))
                return True
            case _:
                raise TypeError(target)
        return False

    def _matches(self, part: ipt.Part) -> bool:
        packet = self.packet
        match part:
            case rs.SourceIn(prefix, negated):
                return (packet.source in prefix) != negated
            case rs.DestinationIn(prefix, negated):
                return (packet.destination in prefix) != negated
            case rs.InputInterface(name, negated):
                same = packet.interface.startswith(name[:-1]) if name.endswith("*") else packet.interface == name
                return same != negated
            case rs.SourceLocal():
                return packet.source in self.machine.local
            case rs.DestinationLocal(negated):
                return (packet.destination in self.machine.local) != negated
            case rs.Marked(mask):
                return bool(packet.mark & mask)
            case rs.OverTcp():
                return packet.protocol == 6
            case ipt.OfProtocol(protocol):
                return packet.protocol == protocol
            case ipt.ToPorts(protocol, first, last):
                return packet.protocol == protocol and first <= packet.port <= last
            case ipt.InState(states, negated):
                is_now = {State.NEW} | ({State.DNAT} if self.fate.backend is not None else set())
                return bool(is_now & set(states)) != negated
            case ipt.Chance(weight, of):
                return self._draw(weight, of)
            case ipt.Remembered(name, _):
                return packet.source in self.machine.lists.get(name, ())
            case ipt.PutOnList(name):
                self.machine.lists.setdefault(name, set()).add(packet.source)
                return True
            case ipt.Comment():
                return True
            case (
                rs.SetMark()
                | rs.FlipMark()
                | rs.Masquerade()
                | rs.Reject()
                | rs.Reset()
                | rs.Drop()
                | rs.Jump()
                | ipt.Goto()
                | ipt.TranslateTo()
                | ipt.Accept()
            ):
                raise TypeError(f"{part} is a target, and stands last")
        assert_never(part)

    def _draw(self, weight: int, of: int) -> bool:
        """One slot is drawn for all the rules of a balancing chain; each rule has the next `weight` slots."""
        lot = self.machine.draws % of if self.lot is None else self.lot
        self.lot = lot - weight
        return lot < weight

    def _end(self, verdict: str) -> None:
        self.fate = replace(self.fate, verdict=verdict)
        raise _Stop
