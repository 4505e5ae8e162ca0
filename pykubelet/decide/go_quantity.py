"""A resource quantity as Go holds it, printed: its parts depend on how it was written. No I/O.

Source: ParseQuantity and RoundUp in k8s.io/apimachinery/pkg/api/resource.
"""

import re
from typing import Final

_PARTS: Final = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?([eE][+-]?\d+|[a-zA-Z]*)")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_MOST: Final = 2**63 - 1
_NANO, _MILLI = 9, 3

ZERO: Final = (
    "{i:(resource.int64Amount){value:(int64)0 scale:(resource.Scale)0} "
    "d:(resource.infDecAmount){Dec:(*inf.Dec)<nil>} s:(string) Format:(resource.Format)}"
)
"""One that was never set."""


def printed(text: str, *, rounded: bool) -> str:
    """The quantity in Go's notation. `rounded`: up to thousandths, as those of a list of resources are.

    ValueError if it is none.
    """
    if text == "0":
        return _whole(0, 0, "0", "DecimalSI")
    found = _PARTS.fullmatch(text)
    if found is None or not (found[2] or found[3]):
        raise ValueError(f"not a quantity: {text!r}")
    sign = -1 if found[1] == "-" else 1
    number, fraction, suffix = found[2].lstrip("0") or "0", found[3] or "", found[4]
    exponent, form = _suffix(suffix)
    shifted = number + fraction
    if form == "BinarySI":
        fast = not fraction and 15 - len(number) - int(exponent * 3 / 10) - 1 >= 0
        scale, value = 0, int(shifted) << exponent
        canonical = exponent % 10 == 0 and int(shifted) & 7 != 0
    else:
        fast = 18 - len(shifted) >= 0
        scale, value = exponent - len(fraction), int(shifted)
        canonical = scale % 3 == 0 and not shifted.endswith("000") and not shifted.startswith("0")
    if fast and scale >= -_NANO and value <= _MOST:
        kept = text if canonical else ""
        value *= sign
        if rounded and scale < -_MILLI:
            value, scale, kept = _up(value, 10 ** (-_MILLI - scale)), -_MILLI, ""
        return _whole(value, scale, kept, form)
    return _decimal(sign, int(shifted), len(fraction), (exponent, form), rounded=rounded)


def _suffix(suffix: str) -> tuple[int, str]:
    if suffix in _BINARY:
        return _BINARY[suffix], "BinarySI"
    if suffix in _DECIMAL:
        return _DECIMAL[suffix], "DecimalSI"
    if suffix[:1] in ("e", "E"):
        return int(suffix[1:]), "DecimalExponent"
    raise ValueError(f"not a suffix of a quantity: {suffix!r}")


def _decimal(sign: int, number: int, places: int, suffix: tuple[int, str], *, rounded: bool) -> str:
    """What does not fit into 64 bits, or has a fraction of a power of two: a decimal of any length."""
    exponent, form = suffix
    if form == "BinarySI":
        number <<= exponent
    else:
        places -= exponent
    scale = places
    if number:
        number, scale = _scaled(number, places, _NANO), _NANO
        if form == "BinarySI" and number > _MOST * 10**_NANO:
            number, scale = _MOST, 0
        if form == "BinarySI" and number < 10**scale:
            form = "DecimalSI"
    number *= sign
    if rounded:
        number, scale = _scaled(number, scale, _MILLI), _MILLI
    words = []
    left = abs(number)
    while left:
        words.append(str(left & 0xFFFFFFFFFFFFFFFF))
        left >>= 64
    digits = f"[{' '.join(words)}]" if words else "<nil>"
    unscaled = f"(big.Int){{neg:(bool){'true' if number < 0 else 'false'} abs:(big.nat){digits}}}"
    dec = f"(*inf.Dec){{unscaled:{unscaled} scale:(inf.Scale){scale}}}"
    return _quantity("(int64)0", "0", dec, "", form)


def _scaled(number: int, places: int, wanted: int) -> int:
    return number * 10 ** (wanted - places) if wanted >= places else _up(number, 10 ** (places - wanted))


def _up(number: int, divisor: int) -> int:
    """Divided, away from zero."""
    size = -(-abs(number) // divisor)
    return size if number >= 0 else -size


def _whole(value: int, scale: int, text: str, form: str) -> str:
    return _quantity(f"(int64){value}", str(scale), "(*inf.Dec)<nil>", text, form)


def _quantity(value: str, scale: str, dec: str, text: str, form: str) -> str:
    return (
        f"{{i:(resource.int64Amount){{value:{value} scale:(resource.Scale){scale}}} "
        f"d:(resource.infDecAmount){{Dec:{dec}}} s:(string){text} Format:(resource.Format){form}}}"
    )
