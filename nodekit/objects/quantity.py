"""Resource quantities: `500m`, `1536Mi`, `1e6`. Exact integers, printed in the API's canonical form.

The rules are those of k8s.io/apimachinery/pkg/api/resource: a quantity remembers which of three formats it was written
in, amounts finer than a nano are rounded up, and binary amounts are capped at 2**63 - 1.
"""

import re
from enum import Enum
from functools import lru_cache
from typing import Final, Self

_NANO: Final = 10**9
_MAX: Final = 2**63 - 1
_FORM: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eE][-+]?[0-9]+|[A-Za-z]{0,2})", re.ASCII)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX: Final = {0: "", **{exponent: suffix for suffix, exponent in _BINARY.items()}}
# Far past any amount the API can hold; keeps "1e999999999" from filling memory.
_MAX_EXPONENT: Final = 100


class Form(Enum):
    """How a quantity was written, and is written again."""

    DECIMAL_SI = "DecimalSI"
    BINARY_SI = "BinarySI"
    DECIMAL_EXPONENT = "DecimalExponent"


class Quantity:
    """An exact, immutable amount. Equality is of amounts, whatever the form, as in the API."""

    # No dataclass: msgspec would read one as a JSON object and never ask for our decoding.
    __slots__ = ("form", "nanos")

    nanos: int
    form: "Form"

    def __init__(self, nanos: int, form: "Form") -> None:
        object.__setattr__(self, "nanos", nanos)
        object.__setattr__(self, "form", form)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Quantity cannot be changed: {name}")

    @classmethod
    def of(cls, amount: int, *, form: Form = Form.DECIMAL_SI) -> Self:
        """A whole amount: cores, bytes, pods."""
        return cls(amount * _NANO, form)

    @classmethod
    def of_bytes(cls, amount: int) -> Self:
        """Bytes, printed with binary suffixes."""
        return cls(amount * _NANO, Form.BINARY_SI)

    @property
    def value(self) -> int:
        """The amount in whole units, rounded away from zero."""
        return _divide_up(self.nanos, _NANO)

    @property
    def milli(self) -> int:
        """The amount in thousandths, rounded away from zero."""
        return _divide_up(self.nanos, _NANO // 1000)

    def __eq__(self, other: object) -> bool:
        return self.nanos == other.nanos if isinstance(other, Quantity) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __lt__(self, other: "Quantity") -> bool:
        return self.nanos < other.nanos

    def __le__(self, other: "Quantity") -> bool:
        return self.nanos <= other.nanos

    def __add__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nanos + other.nanos, self.form if self.nanos else other.form)

    def __sub__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nanos - other.nanos, self.form if self.nanos else other.form)

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"

    def __str__(self) -> str:
        """The canonical form: no fraction, the largest suffix that loses nothing."""
        if self.nanos == 0:
            return "0"
        # Small or fractional binary amounts are shown in decimal rather than rounded.
        if self.form is Form.BINARY_SI and self.nanos % _NANO == 0 and abs(self.nanos) >= 1024 * _NANO:
            return _in_binary(self.nanos // _NANO)
        return _in_decimal(self.nanos, self.form)


@lru_cache(maxsize=4096)
def parse(text: str) -> Quantity:
    """Read a quantity; raises ValueError that says what was wrong with it."""
    found = _FORM.fullmatch(text)
    if found is None or not (found[2] or found[3]):
        raise ValueError(f"{text!r} is not a quantity such as 500m, 2, 1.5Gi or 1e6")
    sign, whole, fraction, suffix = found[1], found[2], found[3] or "", found[4]
    digits = int((whole + fraction) or "0")
    if suffix in _BINARY:
        numerator = digits * (1 << _BINARY[suffix]) * _NANO
        exponent, form = 0, Form.BINARY_SI
    elif suffix in _DECIMAL:
        numerator = digits * _NANO
        exponent, form = _DECIMAL[suffix], Form.DECIMAL_SI
    elif len(suffix) > 1 and suffix[0] in "eE":
        numerator = digits * _NANO
        exponent, form = int(suffix[1:]), Form.DECIMAL_EXPONENT
    else:
        raise ValueError(
            f"{text!r}: unknown suffix {suffix!r}; known: n u m k M G T P E Ki Mi Gi Ti Pi Ei, or e<number>"
        )
    if digits == 0:
        return Quantity(0, form)
    if abs(exponent) > _MAX_EXPONENT or len(fraction) > _MAX_EXPONENT:
        raise ValueError(f"{text!r}: exponent out of range")
    shift = exponent - len(fraction)
    nanos = numerator * 10**shift if shift >= 0 else _divide_up(numerator, 10**-shift)
    if form is Form.BINARY_SI:
        if nanos > _MAX * _NANO:
            nanos = _MAX * _NANO
        elif nanos < _NANO:
            form = Form.DECIMAL_SI
    return Quantity(-nanos if sign == "-" else nanos, form)


def _divide_up(amount: int, by: int) -> int:
    return -(-amount // by) if amount >= 0 else amount // by


def _in_binary(amount: int) -> str:
    exponent = 0
    while amount % 1024 == 0 and exponent < 60:
        amount //= 1024
        exponent += 10
    return f"{amount}{_BINARY_SUFFIX[exponent]}"


def _in_decimal(nanos: int, form: Form) -> str:
    amount, exponent = nanos, -9
    # Past exa there is no suffix; the genuine code then prints the mantissa alone ("1000E" as "1"), which we do not.
    limit = 18 if form is not Form.DECIMAL_EXPONENT else _MAX_EXPONENT * 3
    while amount % 1000 == 0 and exponent < limit:
        amount //= 1000
        exponent += 3
    if form is Form.DECIMAL_EXPONENT:
        return f"{amount}e{exponent}" if exponent else str(amount)
    return f"{amount}{_DECIMAL_SUFFIX[exponent]}"
