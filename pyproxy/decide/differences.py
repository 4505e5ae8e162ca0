"""Compare what a ruleset should hold with what a kernel holds. No I/O."""

from collections.abc import Iterator, Mapping

from pyproxy.decide import nft_text
from pyproxy.decide.nft_text import Told
from pyproxy.model.address import Family
from pyproxy.model.ruleset import Element, Set


def of(one: Set, wanted: Mapping[bytes, Element], held: Mapping[bytes, Told], family: Family) -> Iterator[str]:
    """A line for each difference: `-` what the kernel lacks, `+` what it has beyond that, both for another value."""
    for key in sorted(wanted.keys() | held.keys()):
        want = nft_text.told(wanted[key]) if key in wanted else None
        if key in wanted and key in held and want == held[key]:
            continue
        if key in wanted:
            yield f"-{one.spec.name}: {nft_text.element(one, key, want, family)}"
        if key in held:
            yield f"+{one.spec.name}: {nft_text.element(one, key, held[key], family)}"
