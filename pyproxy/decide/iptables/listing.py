"""Read what iptables-save prints: which chains are somebody's, what they hold, and what leads to them. No I/O."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pyproxy.model.address import Address, Prefix
from pyproxy.model.iptables import PREFIX, ChainId, Table

_TABLES: Final = {table.value: table for table in Table}
# Source: pkg/proxy/iptables/cleanup.go and isServiceChainName of Kubernetes 1.37. KUBE-FIREWALL is the kubelet's too.
_GENUINE: Final = frozenset(
    f"KUBE-{word}"
    for word in (
        "SERVICES",
        "EXTERNAL-SERVICES",
        "NODEPORTS",
        "POSTROUTING",
        "MARK-MASQ",
        "FORWARD",
        "PROXY-FIREWALL",
        "PROXY-CANARY",
    )
)
_GENUINE_SERVICES: Final = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-FW-", "KUBE-EXT-")


@dataclass(frozen=True, slots=True)
class Listing:
    """The chains of one owner with their rules, a line each, and the rules of other chains that lead to them."""

    rules: Mapping[ChainId, tuple[str, ...]] = field(default_factory=dict)
    hooked: Mapping[Table, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.rules or self.hooked)

    def by_table(self) -> Iterator[tuple[Table, tuple[str, ...]]]:
        """All rules, chain by chain, those that lead to ours first."""
        yield from self.hooked.items()
        for chain, rules in self.rules.items():
            yield chain.table, rules


def ours(chain: str) -> bool:
    """Whether a chain is ours by its name."""
    return chain.startswith(PREFIX)


def genuine(chain: str) -> bool:
    """Whether a chain is the genuine kube-proxy's in iptables mode."""
    return chain in _GENUINE or chain.startswith(_GENUINE_SERVICES)


def read(saved: str, owned: Callable[[str], bool]) -> Listing:
    """What of a listing is in chains whose names are `owned`, or leads there from others."""
    rules: dict[ChainId, list[str]] = {}
    hooked: dict[Table, list[str]] = {}
    table: Table | None = None
    for line in saved.splitlines():
        if line.startswith("*"):
            table = _TABLES.get(line[1:])
        elif table is None:
            continue
        elif line.startswith(":"):
            name = line[1:].partition(" ")[0]
            if owned(name):
                rules.setdefault(ChainId(table, name), [])
        elif line.startswith("-A "):
            chain, _, rest = line[3:].partition(" ")
            if owned(chain):
                rules.setdefault(ChainId(table, chain), []).append(line)
            elif owned(_target(rest)):
                hooked.setdefault(table, []).append(line)
    return Listing(
        {chain: tuple(lines) for chain, lines in rules.items()}, {one: tuple(lines) for one, lines in hooked.items()}
    )


def about(found: Listing, address: Address | None, port: int) -> Iterator[str]:
    """The rules for an address and port, or for a NodePort, and those of the chains they lead to."""
    called = f"-d {Prefix(address, len(address) * 8)} " if address is not None else None
    for chain, rules in found.rules.items():
        for rule in rules:
            if f" --dport {port} " in rule and (called in rule if called is not None else " -d " not in rule):
                yield f"{chain.table.value}: {rule}"
                yield from _beyond(found, ChainId(chain.table, _target(rule)), "  ")


def _beyond(found: Listing, chain: ChainId, indent: str) -> Iterator[str]:
    for rule in found.rules.get(chain, ()):
        yield f"{chain.table.value}: {indent}{rule}"
        yield from _beyond(found, ChainId(chain.table, _target(rule)), indent + "  ")


def _target(rule: str) -> str:
    """The chain a rule jumps or goes to: what follows its last -j or -g, as no option of a chain's comes after it."""
    words = rule.split(" ")
    return words[-1] if len(words) > 1 and words[-2] in ("-j", "-g") else ""
