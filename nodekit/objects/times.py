"""Times as the API writes them: metav1.Time in whole seconds, metav1.MicroTime in microseconds. Reads no clock."""

from datetime import UTC, datetime
from typing import Final, Self

_MICRO: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


class MicroTime(datetime):
    """A UTC time that is written with six fractional digits, always: the API server refuses any other number."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read RFC 3339; raises ValueError when it is not."""
        return cls.of(_aware(datetime.fromisoformat(text)).timestamp())

    @classmethod
    def of(cls, seconds: float) -> Self:
        """The time that many seconds after the epoch."""
        return cls.fromtimestamp(round(seconds * 1e6) / 1e6, UTC)

    @classmethod
    def at(cls, when: datetime) -> Self:
        """The same time, to the microsecond."""
        return cls.fromtimestamp(when.timestamp(), UTC)

    def __str__(self) -> str:
        return self.astimezone(UTC).strftime(_MICRO)


def of(seconds: float) -> datetime:
    """A metav1.Time: UTC, cut to whole seconds as the genuine encoder does, so that a patch sees no false change."""
    return datetime.fromtimestamp(int(seconds), UTC)


def whole(when: datetime) -> datetime:
    """The same time as a metav1.Time: UTC, cut to whole seconds."""
    return when.astimezone(UTC).replace(microsecond=0)


def parse(text: str) -> datetime:
    """Read RFC 3339; raises ValueError when it is not, or has no zone."""
    return _aware(datetime.fromisoformat(text))


def text(when: datetime) -> str:
    """RFC 3339 in UTC with "Z" and whole seconds: `2026-11-24T10:15:01Z`."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _aware(when: datetime) -> datetime:
    if when.tzinfo is None:
        raise ValueError(f"{when.isoformat()}: a time without a zone")
    return when
