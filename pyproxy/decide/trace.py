"""Walk a packet through a ruleset value as the kernel would, to say what becomes of it. No I/O.

`Machine` is also the fake kernel of tests: it applies transactions to dictionaries and refuses what nf_tables refuses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from pyproxy.model import keys
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Address
from pyproxy.model.ruleset import Chain, ChainKey, Element, Field, Hook, Kind, Set, Verdict
from pyproxy.model.transaction import Transaction

Tables = Mapping[Set, Mapping[bytes, Element]]


@dataclass(frozen=True)
class Packet:
    """A connection's first packet."""

    source: Address
    destination: Address
    protocol: int
    port: int
    interface: str = "eth0"
    mark: int = 0
    original: "Packet | None" = None


@dataclass(frozen=True)
class Fate:
    """What became of a packet: `backend` is where it was sent, None when it went on as it was."""

    verdict: str = "accept"
    backend: bytes | None = None
    masqueraded: bool = False
    mark: int = 0


@dataclass
class Machine:
    """A kernel of dictionaries: transactions are applied to it, packets walk through it."""

    local: frozenset[Address] = frozenset()
    sets: dict[Set, dict[bytes, Element]] = field(default_factory=dict)
    chains: dict[str, Chain] = field(default_factory=dict)
    draws: int = 0  # what numgen gives, modulo the slots

    def apply(self, transaction: Transaction) -> None:
        """Apply a transaction, refusing what the kernel would refuse."""
        if transaction.fresh:
            self.sets = {one: {} for one in Set if not one.spec.dynamic} | {
                one: self.sets.get(one, {}) for one in Set if one.spec.dynamic
            }
            self.chains = {name: replace(chain, rules=()) for name, chain in self.chains.items()}
        for chain in transaction.chains:
            self.chains[chain.name] = chain
        for one, gone in transaction.removed.items():
            for key in gone:
                del self.sets[one][key]  # the kernel says ENOENT
        for one, come in transaction.added.items():
            for key, value in come.items():
                present = self.sets[one].get(key, value)
                assert present == value, f"EEXIST: {one.spec.name} {key!r}"
                if isinstance(value, ChainKey):
                    assert value.name in self.chains, f"ENOENT: chain {value.name}"
                self.sets[one][key] = value
        for name in transaction.dropped_chains:
            users = [
                v for held in self.sets.values() for v in held.values() if isinstance(v, ChainKey) and v.name == name
            ]
            assert not users, f"EBUSY: {name}"
            del self.chains[name]

    def send(self, packet: Packet) -> Fate:
        """A new connection through prerouting or output, then input or postrouting."""
        first = Hook.OUTPUT if packet.source in self.local else Hook.PREROUTING
        walk = _Walk(self, packet)
        if not walk.base(first):
            return walk.fate
        walk.packet = replace(walk.packet, original=packet)
        last = Hook.INPUT if walk.packet.destination in self.local else Hook.POSTROUTING
        walk.base(last)
        return replace(walk.fate, mark=walk.packet.mark)

    def forget_clients(self) -> None:
        """As if the time of everybody with session affinity were up."""
        self.sets[Set.AFFINITY].clear()

    def known(self) -> dict[Set, dict[bytes, Element]]:
        """All elements but the learned ones, sets that are empty left out."""
        return {one: dict(held) for one, held in self.sets.items() if held and not one.spec.dynamic}


class _Stop(Exception):
    pass


@dataclass
class _Walk:
    machine: Machine
    packet: Packet
    fate: Fate = Fate()

    def base(self, hook: Hook) -> bool:
        """Run the base chains of a hook; whether the packet goes on."""
        try:
            for chain in self.machine.chains.values():
                if chain.hook is hook:
                    self._chain(chain.name)
        except _Stop:
            return self.fate.verdict == "accept"
        return True

    def _chain(self, name: str) -> bool:
        """Run a chain; True when a goto ended it."""
        return any(self._rule(rule) for rule in self.machine.chains[name].rules)

    def _rule(self, rule: rs.Rule) -> bool:
        for statement in rule:
            outcome = self._statement(statement)
            if outcome == "break":
                return False
            if outcome == "goto":
                return True
        return False

    def _statement(self, statement: rs.Statement) -> str:
        packet = self.packet
        match statement:
            case rs.SourceIn(prefix, negated):
                return _when((packet.source in prefix) != negated)
            case rs.DestinationIn(prefix, negated):
                return _when((packet.destination in prefix) != negated)
            case rs.SourceLocal():
                return _when(packet.source in self.machine.local)
            case rs.DestinationLocal(negated):
                return _when((packet.destination in self.machine.local) != negated)
            case rs.InputInterface(name, negated):
                same = packet.interface.startswith(name[:-1]) if name.endswith("*") else packet.interface == name
                return _when(same != negated)
            case rs.InSet(fields, one, negated):
                return _when(self._has(one, self._key(fields)) != negated)
            case rs.Translated():
                return _when(packet.original is not None and self.fate.backend is not None)
            case rs.Marked(mask):
                return _when(bool(packet.mark & mask))
            case rs.SetMark(mask):
                self.packet = replace(packet, mark=packet.mark | mask)
            case rs.FlipMark(mask):
                self.packet = replace(packet, mark=packet.mark ^ mask)
            case rs.Masquerade():
                self.fate = replace(self.fate, masqueraded=True)
                raise _Stop
            case rs.Dispatch(fields, one):
                return self._dispatch(self.machine.sets[one].get(self._key(fields)))
            case rs.Translate(fields, one, slots, _):
                return self._translate(fields, one, slots)
            case rs.Remember():
                self.machine.sets[Set.AFFINITY][self._client()] = self._key(rs.BACKEND)
            case rs.Forget():
                del self.machine.sets[Set.AFFINITY][self._client()]
            case rs.Jump(chain):
                self._chain(chain)
            case rs.OverTcp():
                return _when(packet.protocol == 6)
            case rs.Reject() | rs.Reset():
                self._end("reject")
            case rs.Drop():
                self._end("drop")
            case _:
                assert_never(statement)
        return "continue"

    def _dispatch(self, found: Element) -> str:
        match found:
            case None:
                return "break"
            case Verdict.DROP:
                self._end("drop")
            case ChainKey(kind=Kind.LEARN):
                self._chain(found.name)
                return "continue"
            case ChainKey():
                self._chain(found.name)
                return "goto"
            case bytes():
                raise TypeError(found)
        return "goto"

    def _translate(self, fields: tuple[Field, ...], one: Set, slots: int) -> str:
        key = self._key(fields)
        if slots:
            key = keys.slot(key, self.machine.draws % slots)
        backend = self.machine.sets[one].get(key)
        if backend is None:
            return "break"
        assert isinstance(backend, bytes)
        address, port = keys.read_endpoint(backend)
        self.packet = replace(self.packet, destination=address, port=port)
        self.fate = replace(self.fate, backend=backend)
        raise _Stop

    def _end(self, verdict: str) -> None:
        self.fate = replace(self.fate, verdict=verdict, backend=None)
        raise _Stop

    def _has(self, one: Set, key: bytes) -> bool:
        held = self.machine.sets[one]
        if not one.spec.interval:
            return key in held
        return any(len(low) == len(key) and low <= key <= high for low, high in held.items() if isinstance(high, bytes))

    def _client(self) -> bytes:
        return self._key((*rs.ORIGINAL_KEY, Field.CALLER))

    def _key(self, fields: tuple[Field, ...]) -> bytes:
        return b"".join(self._field(one) for one in fields)

    def _field(self, one: Field) -> bytes:
        packet = self.packet
        original = packet.original or packet
        match one:
            case Field.SOURCE:
                return packet.source
            case Field.DESTINATION:
                return packet.destination
            case Field.PROTOCOL:
                return bytes((packet.protocol, 0, 0, 0))
            case Field.PORT:
                return packet.port.to_bytes(2, "big") + b"\0\0"
            case Field.CALLER:
                return original.source
            case Field.FRONTEND:
                return original.destination
            case Field.FRONTEND_PORT:
                return original.port.to_bytes(2, "big") + b"\0\0"
            case Field.SLOT:
                raise TypeError("a slot is drawn by Translate")
        assert_never(one)


def _when(matches: bool) -> str:
    return "continue" if matches else "break"
