"""The Maglev table: fair, weighted, and calm when backends come and go."""

from collections import Counter

import pytest

from pyproxy.decide import maglev

BACKENDS = [bytes((10, 0, 0, n, 0x1F, 0x90, 0, 0)) for n in range(1, 8)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_every_backend_has_its_share(count: int) -> None:
    shares = Counter(maglev.table(dict.fromkeys(BACKENDS[:count], 1)))
    assert sum(shares.values()) == maglev.SIZE
    assert max(shares.values()) - min(shares.values()) <= 1


def test_shares_follow_weights() -> None:
    shares = Counter(maglev.table({BACKENDS[0]: 5, BACKENDS[1]: 2, BACKENDS[2]: 1, BACKENDS[3]: 0}))
    assert [round(shares[b] / maglev.SIZE * 8) for b in BACKENDS[:4]] == [5, 2, 1, 0]


def test_a_backend_that_leaves_moves_little_else() -> None:
    before = maglev.table(dict.fromkeys(BACKENDS, 1))
    after = maglev.table(dict.fromkeys(BACKENDS[1:], 1))
    moved = sum(old != new for old, new in zip(before, after, strict=True))
    its_own = before.count(BACKENDS[0])
    assert its_own <= moved <= its_own * 2


def test_the_order_they_are_told_in_does_not_matter() -> None:
    assert maglev.table(dict.fromkeys(BACKENDS, 1)) == maglev.table(dict.fromkeys(reversed(BACKENDS), 1))


def test_more_backends_than_slots_are_no_trouble() -> None:
    many = {n.to_bytes(8, "big"): 1 for n in range(1, 300)}
    assert len(set(maglev.table(many))) == maglev.SIZE
