"""Write a ruleset as nft would print it, for --dry-run and `pyproxy dump`. No I/O."""

from collections.abc import Iterator, Mapping
from typing import Final, assert_never

from pyproxy.model import address as addresses
from pyproxy.model import keys
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Family
from pyproxy.model.ports import Protocol
from pyproxy.model.ruleset import Chain, ChainKey, Element, Field, Hook, Kind, Rule, Set, Value, Verdict
from pyproxy.model.transaction import Transaction

_HOOKS: Final = {hook: hook.name.lower() for hook in Hook}


def write(whole: Transaction) -> str:
    """The table a whole transaction makes."""
    word = whole.family.word
    counted = whole.counting.sets
    parts = [f"table {word} {rs.TABLE} {{"]
    for one in Set:
        parts.extend(f"\t{line}" for line in _set(one, whole.added.get(one, {}), whole.family, counted=one in counted))
    for chain in whole.chains:
        parts.extend(f"\t{line}" for line in _chain(chain, whole.family))
    return "\n".join([*parts, "}", ""])


def rule(statements: Rule, family: Family) -> str:
    """One rule."""
    return " ".join(_statement(statement, family) for statement in statements)


Told = bytes | str | None
"""A value as text or dump has it: a verdict in words, a backend or an interval's last key as bytes, or nothing."""


def told(value: Element) -> Told:
    """A verdict in words; anything else as it is."""
    match value:
        case Verdict():
            return value.value
        case ChainKey(kind=Kind.LEARN):
            return f"jump {value.name}"
        case ChainKey():
            return f"goto {value.name}"
        case _:
            return value


def element(one: Set, key: bytes, value: Told, family: Family) -> str:
    """One element, as between the braces of `elements = { ... }`."""
    left = _key(one, key, family)
    match value:
        case None:
            return left
        case str():
            return f"{left} : {value}"
        case bytes() if one.spec.interval:
            first, last = left.rpartition(" . ")[2], _key(one, value, family).rpartition(" . ")[2]
            return left if first == last else f"{left}-{last}"
        case bytes():
            address, port = keys.read_endpoint(value)
            return f"{left} : {addresses.text(address)} . {port}"


def _set(one: Set, elements: Mapping[bytes, Element], family: Family, *, counted: bool) -> Iterator[str]:
    spec = one.spec
    fields = " . ".join(_field(field, family) for field in spec.key)
    match spec.value:
        case None:
            yield f"set {spec.name} {{"
            yield f"\ttypeof {fields}"
        case Value.VERDICT:
            yield f"map {spec.name} {{"
            yield f"\ttypeof {fields} : verdict"
        case Value.BACKEND:
            yield f"map {spec.name} {{"
            yield f"\ttypeof {fields} : {' . '.join(_field(field, family) for field in rs.BACKEND)}"
    flags = [*(["interval"] if spec.interval else []), *(["dynamic,timeout"] if spec.dynamic else [])]
    if spec.size:
        yield f"\tsize {spec.size}"
    if flags:
        yield f"\tflags {','.join(flags)}"
    if counted:
        yield "\tcounter"
    if elements:
        lines = [element(one, key, told(value), family) for key, value in elements.items()]
        yield "\telements = { " + ",\n\t\t\t     ".join(lines) + " }"
    yield "}"


def _chain(chain: Chain, family: Family) -> Iterator[str]:
    yield f"chain {chain.name} {{"
    if chain.hook is not None:
        yield f"\ttype nat hook {_HOOKS[chain.hook]} priority {chain.priority}; policy accept;"
    for statements in chain.rules:
        yield f"\t{rule(statements, family)}"
    yield "}"


def _key(one: Set, key: bytes, family: Family) -> str:
    parts = []
    for field in one.spec.key:
        width = family.value if field in (Field.SOURCE, Field.DESTINATION) else 4
        part, key = key[:width], key[width:]
        match field:
            case Field.SOURCE | Field.DESTINATION:
                parts.append(addresses.text(part))
            case Field.PROTOCOL:
                parts.append(Protocol(part[0]).name.lower())
            case Field.PORT:
                parts.append(str(int.from_bytes(part[:2], "big")))
            case Field.SLOT:
                parts.append(str(keys.read_slot(part)[1]))
            case _:
                parts.append(part.hex())
    return " . ".join(parts)


def _field(field: Field, family: Family) -> str:
    return field.value if family is Family.IPV4 else field.value.replace("ip ", "ip6 ")


def _fields(fields: tuple[Field, ...], family: Family) -> str:
    return " . ".join(_field(field, family) for field in fields)


def _statement(statement: rs.Statement, family: Family) -> str:
    ip = family.word
    match statement:
        case rs.SourceIn(prefix, negated):
            return f"{ip} saddr {'!= ' if negated else ''}{prefix}"
        case rs.DestinationIn(prefix, negated):
            return f"{ip} daddr {'!= ' if negated else ''}{prefix}"
        case rs.SourceLocal():
            return "fib saddr type local"
        case rs.DestinationLocal(negated):
            return f"fib daddr type {'!= ' if negated else ''}local"
        case rs.InputInterface(name, negated):
            return f'iifname {"!= " if negated else ""}"{name}"'
        case rs.InSet(fields, one, negated):
            return f"{_fields(fields, family)} {'!= ' if negated else ''}@{one.spec.name}"
        case rs.Dispatch(fields, one):
            return f"{_fields(fields, family)} vmap @{one.spec.name}"
        case rs.Translate(fields, one, slots, hashed):
            drawn = f" . numgen random mod {slots}" if slots else ""
            if hashed:
                drawn = f" . jhash {ip} saddr . th sport mod {slots} seed {rs.HASH_SEED:#x}"
            return f"dnat {ip} addr . port to {_fields(fields, family)}{drawn} map @{one.spec.name}"
        case rs.Translated():
            return "ct status dnat"
        case rs.Marked(mask):
            return f"meta mark & {mask:#010x} != 0x00000000"
        case rs.SetMark(mask):
            return f"meta mark set meta mark | {mask:#010x}"
        case rs.FlipMark(mask):
            return f"meta mark set meta mark ^ {mask:#010x}"
        case rs.Masquerade():
            return "masquerade fully-random"
        case rs.Remember(seconds):
            key = _fields((*rs.ORIGINAL_KEY, Field.CALLER), family)
            return f"update @{Set.AFFINITY.spec.name} {{ {key} timeout {seconds}s : {_fields(rs.BACKEND, family)} }}"
        case rs.Forget():
            key = _fields((*rs.ORIGINAL_KEY, Field.CALLER), family)
            return f"delete @{Set.AFFINITY.spec.name} {{ {key} : {_fields(rs.BACKEND, family)} }}"
        case rs.Jump(chain):
            return f"jump {chain}"
        case rs.OverTcp():
            return "meta l4proto tcp"
        case rs.Reset():
            return "reject with tcp reset"
        case rs.Reject():
            return "reject"
        case rs.Drop():
            return "drop"
    assert_never(statement)
