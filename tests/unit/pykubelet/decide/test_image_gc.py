"""Which images are removed."""

import pytest

from pykubelet.decide import image_gc
from pykubelet.decide.image_gc import Policy, Record
from pykubelet.model.observed import Image

NOW = 10_000.0
OLD, RECENT, USED, NEW, PINNED = (
    Image("old", size=10),
    Image("recent", size=10),
    Image("used", size=10),
    Image("new", size=10),
    Image("pinned", size=10, pinned=True),
)
IMAGES = (USED, NEW, PINNED, RECENT, OLD)
KNOWN = {
    "old": Record(0.0, 100.0),
    "recent": Record(0.0, 9_000.0),
    "used": Record(0.0, NOW),
    "new": Record(NOW - 60),
    "pinned": Record(0.0),
}


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        pytest.param(5, [OLD], id="the longest unused first"),
        pytest.param(15, [OLD, RECENT], id="as many as it takes"),
        pytest.param(500, [OLD, RECENT], id="never one in use, pinned or just pulled"),
        pytest.param(0, [], id="none if nothing is wanted"),
    ],
)
def test_what_frees_space(wanted: int, chosen: list[Image]) -> None:
    assert image_gc.to_free(IMAGES, KNOWN, wanted, min_age=120, now=NOW) == chosen


@pytest.mark.parametrize(
    ("available", "wanted"),
    [
        pytest.param(16, 0, id="84% in use is fine"),
        pytest.param(15, 5, id="at 85% it goes down to 80%"),
        pytest.param(0, 20, id="a full disk"),
    ],
)
def test_when_space_is_wanted(available: int, wanted: int) -> None:
    assert image_gc.bytes_to_free(Policy(), capacity=100, available=available) == wanted


def test_images_unused_for_too_long_go_once_we_have_watched_that_long() -> None:
    policy = Policy(max_age=5_000)
    assert image_gc.too_old(IMAGES, KNOWN, policy, now=NOW, watched_since=NOW - 4_000) == []
    assert set(image_gc.too_old(IMAGES, KNOWN, policy, now=NOW, watched_since=0.0)) == {OLD}


def test_what_is_remembered_of_images() -> None:
    later = image_gc.records(KNOWN, [OLD, RECENT, Image("other")], frozenset({"recent"}), now=NOW + 1)
    assert later == {"old": KNOWN["old"], "recent": Record(0.0, NOW + 1), "other": Record(NOW + 1)}
