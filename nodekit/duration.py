"""Durations as Go writes them ("1m30s"), in seconds as floats. No I/O."""

import re
from decimal import Decimal
from typing import Final

_NANOSECONDS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_WHOLE: Final = re.compile(rf"[+-]?(?:0|(?:{_PART.pattern})+)", re.ASCII)


def parse(text: str) -> float:
    """Seconds; raises ValueError when the text is not a duration such as "300ms", "1.5h" or "1m30s"."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f'{text!r} is not a duration such as "300ms", "1.5h" or "1m30s"')
    # Each part is cut to whole nanoseconds, as in Go.
    nanos = sum(int(Decimal(number) * _NANOSECONDS[unit]) for number, unit in _PART.findall(text))
    return (-nanos if text.startswith("-") else nanos) / 1e9


def text(seconds: float) -> str:
    """As Go prints it: "1h0m0s", "1m30s", "1.5s", "100ms", "0s"."""
    nanos = round(Decimal(repr(abs(seconds))) * 10**9)
    sign = "-" if seconds < 0 and nanos else ""
    if nanos == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if nanos < size * 1000:
            return f"{sign}{_plain(nanos, size)}{unit}"
    hours, rest = divmod(nanos, 3600 * 10**9)
    minutes, rest = divmod(rest, 60 * 10**9)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_plain(rest, 10**9)}s"


def _plain(amount: int, size: int) -> str:
    whole, rest = divmod(amount, size)
    digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
