"""Choose which images to remove: those too old, and enough of the unused ones when their disk is nearly full. No I/O.

Source: kubelet.config.k8s.io imageGCHighThresholdPercent and its companions.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from pykubelet.model.observed import Image


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """Percent of the disk in use at which removal begins, and down to which it goes; ages in seconds, 0 is no limit."""

    high_percent: int = 85
    low_percent: int = 80
    min_age: float = 120.0
    max_age: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """When an image was first seen, and last seen in use (0.0: never); epoch seconds."""

    first_seen: float
    last_used: float = 0.0


Records = Mapping[str, Record]
"""By image id."""


def records(previous: Records, images: Iterable[Image], in_use: frozenset[str], *, now: float) -> dict[str, Record]:
    """What to remember of the images that are there now. `in_use` are ids that some container or volume has."""
    found = {}
    for image in images:
        before = previous.get(image.id, Record(now))
        found[image.id] = Record(before.first_seen, now) if image.id in in_use else before
    return found


def too_old(
    images: Iterable[Image], known: Records, policy: Policy, *, now: float, watched_since: float
) -> list[Image]:
    """The images unused for longer than the policy allows. Before we have watched that long nobody can tell."""
    if not policy.max_age or now - watched_since <= policy.max_age:
        return []
    return [image for image in _unused(images, known, now) if now - _last_wanted(known[image.id]) > policy.max_age]


def bytes_to_free(policy: Policy, *, capacity: int, available: int) -> int:
    """How much has to go from a disk of images so that its use is down to the low mark; 0 below the high one."""
    if capacity <= 0:
        return 0
    left = min(available, capacity)
    if 100 - left * 100 // capacity < policy.high_percent:
        return 0
    return max(0, capacity * (100 - policy.low_percent) // 100 - left)


def to_free(images: Iterable[Image], known: Records, wanted: int, *, min_age: float, now: float) -> list[Image]:
    """Enough unused images to free so many bytes, as far as there are any: the longest unused first."""
    chosen: list[Image] = []
    freed = 0
    for image in _unused(images, known, now):
        if freed >= wanted:
            break
        # One just pulled is about to be used.
        if now - known[image.id].first_seen >= min_age:
            chosen.append(image)
            freed += image.size
    return chosen


def _last_wanted(record: Record) -> float:
    # One that was pulled and never used was wanted when it came.
    return max(record.first_seen, record.last_used)


def _unused(images: Iterable[Image], known: Records, now: float) -> list[Image]:
    free = [image for image in images if image.id in known and not image.pinned and known[image.id].last_used < now]
    return sorted(free, key=lambda image: (known[image.id].last_used, known[image.id].first_seen))
