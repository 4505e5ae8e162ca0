"""Write a change for iptables-restore, each rule as iptables-save would print it. No I/O."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, assert_never

from pyproxy.model import address as addresses
from pyproxy.model import iptables as ipt
from pyproxy.model import keys
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Family
from pyproxy.model.iptables import ChainId, Change, Rule, Table

_MASKS: Final = {Family.IPV4: "255.255.255.255", Family.IPV6: ":".join(["ffff"] * 8)}
_PRECISION: Final = 1 << 31  # chances are stored as 31 bits


def restore(
    change: Change, *, stale: Iterable[ChainId] = (), hooked: Mapping[Table, tuple[str, ...]] | None = None
) -> str:
    """The input of `iptables-restore --noflush`.

    `stale` are further chains that go. `hooked` are rules of built-in chains that lead to chains of ours now, as
    iptables-save prints them: they go too, and the change's hooks come first in their chains instead.
    """
    dropped = {*change.dropped, *stale}
    parts: list[str] = []
    for table in Table:
        lines = [
            *(f":{chain.name} - [0:0]" for chain in change.chains if chain.table is table),
            *sorted(f":{chain.name} - [0:0]" for chain in dropped if chain.table is table),
            *(f"-D{rule.removeprefix('-A')}" for rule in (hooked or {}).get(table, ())),
            *(
                f"-I {chain.name} 1 {_words(rule, change.family)}"
                for chain, rule in change.hooks
                if chain.table is table
            ),
        ]
        for chain, rules in change.chains.items():
            if chain.table is table:
                lines += rules_of(chain, rules, change.family)
        lines += sorted(f"-X {chain.name}" for chain in dropped if chain.table is table)
        if lines:
            parts += [f"*{table.value}", *lines, "COMMIT"]
    return "".join(f"{line}\n" for line in parts)


def saved(whole: Change) -> str:
    """What iptables-save would print of a change that is all there is, as far as it is ours."""
    parts: list[str] = []
    for table in Table:
        parts += [f"*{table.value}"]
        parts += [f":{chain.name} - [0:0]" for chain in whole.chains if chain.table is table]
        parts += [_rule(chain, rule, whole.family) for chain, rule in whole.hooks if chain.table is table]
        for chain, rules in whole.chains.items():
            if chain.table is table:
                parts += rules_of(chain, rules, whole.family)
    return "".join(f"{line}\n" for line in parts)


def hooks_of(change: Change) -> Iterator[str]:
    """The rules of built-in chains that lead to ours, a line each."""
    return (_rule(chain, rule, change.family) for chain, rule in change.hooks)


def rules_of(chain: ChainId, rules: Iterable[Rule], family: Family) -> Iterator[str]:
    """A chain's rules, a line each."""
    return (_rule(chain, rule, family) for rule in rules)


def _rule(chain: ChainId, rule: Rule, family: Family) -> str:
    return f"-A {chain.name} {_words(rule, family)}"


def _words(rule: Rule, family: Family) -> str:
    return " ".join(_part(part, family) for part in rule)


def _part(part: ipt.Part, family: Family) -> str:
    match part:
        case rs.SourceIn(prefix, negated):
            return f"{_not(negated)}-s {prefix}"
        case rs.DestinationIn(prefix, negated):
            return f"{_not(negated)}-d {prefix}"
        case rs.InputInterface(name, negated):
            return f"{_not(negated)}-i {name.removesuffix('*') + '+' if name.endswith('*') else name}"
        case rs.SourceLocal():
            return "-m addrtype --src-type LOCAL"
        case rs.DestinationLocal(negated):
            return f"-m addrtype {_not(negated)}--dst-type LOCAL"
        case rs.Marked(mask):
            return f"-m mark --mark {mask:#x}/{mask:#x}"
        case rs.OverTcp():
            return "-p tcp"
        case ipt.OfProtocol(protocol):
            return f"-p {protocol.name.lower()}"
        case ipt.ToPorts(protocol, first, last):
            word = protocol.name.lower()
            return f"-p {word} -m {word} --dport {first if first == last else f'{first}:{last}'}"
        case ipt.InState(states, negated):
            return f"-m conntrack {_not(negated)}--ctstate {','.join(state.value for state in states)}"
        case ipt.Chance(weight, of):
            chance = round(_PRECISION * weight / of) / _PRECISION
            return f"-m statistic --mode random --probability {chance:.11f}"
        case ipt.Remembered(name, seconds):
            return f"-m recent --rcheck --seconds {seconds} --reap --name {name} --mask {_MASKS[family]} --rsource"
        case ipt.PutOnList(name):
            return f"-m recent --set --name {name} --mask {_MASKS[family]} --rsource"
        case ipt.Comment(text):
            return f'-m comment --comment "{text}"'
        case rs.SetMark(mask):
            return f"-j MARK --set-xmark {mask:#x}/{mask:#x}"
        case rs.FlipMark(mask):
            return f"-j MARK --set-xmark {mask:#x}/0x0"
        case rs.Masquerade():
            return "-j MASQUERADE --random-fully"
        case rs.Reset():
            return "-j REJECT --reject-with tcp-reset"
        case rs.Reject():
            return f"-j REJECT --reject-with {'icmp' if family is Family.IPV4 else 'icmp6'}-port-unreachable"
        case rs.Drop():
            return "-j DROP"
        case ipt.Accept():
            return "-j ACCEPT"
        case rs.Jump(chain):
            return f"-j {chain}"
        case ipt.Goto(chain):
            return f"-g {chain}"
        case ipt.TranslateTo(backend):
            return f"-j DNAT --to-destination {addresses.with_port(*keys.read_endpoint(backend))}"
    assert_never(part)


def _not(negated: bool) -> str:
    return "! " if negated else ""
