"""Compare what a ruleset should hold with what a kernel holds. No I/O."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from pyproxy.decide import maglev, nft_text
from pyproxy.decide.nft_text import Told
from pyproxy.model import keys
from pyproxy.model.address import Family
from pyproxy.model.ruleset import Element, Field, Set


def of(one: Set, wanted: Mapping[bytes, Element], held: Mapping[bytes, Told], family: Family) -> Iterator[str]:
    """A line for each difference: `-` what the kernel lacks, `+` what it has beyond that, both for another value.

    In which slots the endpoints of a frontend stand is no difference: that depends on the order in which they came.
    """
    alike = _alike(wanted, held) if Field.SLOT in one.spec.key else frozenset()
    for key in sorted(wanted.keys() | held.keys()):
        if alike and keys.read_slot(key)[0] in alike:
            continue
        want = nft_text.told(wanted[key]) if key in wanted else None
        if key in wanted and key in held and want == held[key]:
            continue
        if key in wanted:
            yield f"-{one.spec.name}: {nft_text.element(one, key, want, family)}"
        if key in held:
            yield f"+{one.spec.name}: {nft_text.element(one, key, held[key], family)}"


def _alike(wanted: Mapping[bytes, Element], held: Mapping[bytes, Told]) -> frozenset[bytes]:
    """The frontends with the same endpoints in the same slots, in any order; of a Maglev table the order counts."""
    mine: dict[bytes, list[Told]] = defaultdict(list)
    theirs: dict[bytes, list[Told]] = defaultdict(list)
    slots: dict[bytes, set[int]] = defaultdict(set)
    for key, element in wanted.items():
        frontend, slot = keys.read_slot(key)
        mine[frontend].append(nft_text.told(element))
        slots[frontend].add(slot)
    for key, value in held.items():
        frontend, slot = keys.read_slot(key)
        theirs[frontend].append(value)
        slots[frontend].discard(slot)
    return frozenset(
        frontend
        for frontend, values in mine.items()
        if not slots[frontend] and len(values) != maglev.SIZE and Counter(values) == Counter(theirs[frontend])
    )
