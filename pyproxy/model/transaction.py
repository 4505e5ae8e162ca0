"""What one atomic batch changes. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyproxy.model.address import Family
from pyproxy.model.ruleset import Chain, Counting, Element, Set


@dataclass(frozen=True, slots=True)
class Transaction:
    """A batch for one family's table, applied in the order of the fields.

    A `fresh` one makes the table's sets and base chains if they are missing, and empties all but the dynamic sets
    first: what it holds is then all there is. Its sets count connections as `counting` says. Chains that are not new
    are emptied and written again.
    """

    family: Family
    fresh: bool = False
    chains: tuple[Chain, ...] = ()
    removed: Mapping[Set, tuple[bytes, ...]] = field(default_factory=dict)
    added: Mapping[Set, Mapping[bytes, Element]] = field(default_factory=dict)
    dropped_chains: tuple[str, ...] = ()
    counting: Counting = Counting.NOTHING

    def __bool__(self) -> bool:
        return bool(self.fresh or self.chains or self.removed or self.added or self.dropped_chains)

    @property
    def size(self) -> int:
        """Elements removed and added."""
        return sum(map(len, self.removed.values())) + sum(map(len, self.added.values()))
