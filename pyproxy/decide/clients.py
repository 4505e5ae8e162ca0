"""Find remembered clients whose backend has left. No I/O."""

from collections.abc import Iterator, Mapping

from pyproxy.decide.nft_text import Told
from pyproxy.model.ruleset import Set
from pyproxy.model.transaction import Transaction

_LEFT = (Set.AFFINITY_ENDPOINTS, Set.NODE_PORT_AFFINITY_ENDPOINTS)


def are_left(change: Transaction) -> bool:
    """Whether a change takes a backend away from clients that may be remembered."""
    return any(one in change.removed for one in _LEFT)


def left(change: Transaction, remembered: Mapping[bytes, Told]) -> Iterator[bytes]:
    """The keys of the affinity map whose clients a change left without their backend."""
    width = change.family.value
    gone = {key for one in _LEFT for key in change.removed.get(one, ())}
    gone -= {key for one in _LEFT for key in change.added.get(one, {})}
    for key, backend in remembered.items():
        # A key is a service key and the client; a NodePort's elements leave out the address that was called.
        frontend = key[:-width]
        if isinstance(backend, bytes) and (frontend + backend in gone or frontend[width:] + backend in gone):
            yield key
