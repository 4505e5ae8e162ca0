"""JSON bytes to structs and back, with decoders kept per type."""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

import msgspec

from nodekit.objects import quantity, times

T = TypeVar("T")

DecodeError = msgspec.DecodeError


def _read_special(wanted: type, value: object) -> object:
    if wanted is quantity.Quantity:
        if isinstance(value, str | int | float):
            return quantity.parse(str(value).strip())
        raise ValueError(f"expected a quantity, got {type(value).__name__}")
    if wanted is times.MicroTime and isinstance(value, str):
        return times.MicroTime.parse(value)
    raise NotImplementedError(f"no decoding of {wanted}")


def _write_special(value: object) -> object:
    if isinstance(value, quantity.Quantity | times.MicroTime):
        return str(value)
    raise NotImplementedError(f"no encoding of {type(value)}")


_encoder: Final = msgspec.json.Encoder(enc_hook=_write_special)
_untyped: Final = msgspec.json.Decoder()


@lru_cache(maxsize=512)
def _decoder(wanted: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(wanted, dec_hook=_read_special)


def decode(wanted: type[T], body: bytes | bytearray | memoryview | msgspec.Raw) -> T:
    """Read an object; a `null` anywhere means the field is absent, as Go reads it.

    Raises DecodeError (a ValueError) naming the field when the JSON does not fit.
    """
    decoder: msgspec.json.Decoder[T] = _decoder(cast(Hashable, wanted))
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        # Go writes an empty list without omitempty as null; that is rare enough to read twice.
        return of_builtins(wanted, _untyped.decode(body))


def encode(value: object) -> bytes:
    """Write an object, fields at their default left out."""
    return _encoder.encode(value)


def to_builtins(value: object) -> Any:
    """The object as dicts, lists and strings, as JSON would hold it."""
    # Through JSON, as msgspec.to_builtins would leave tuples as they are.
    return _untyped.decode(_encoder.encode(value))


def of_builtins(wanted: type[T], value: object) -> T:
    """The object from dicts, lists and strings; raises DecodeError when they do not fit."""
    return msgspec.convert(without_nulls(value), wanted, dec_hook=_read_special)


def without_nulls(value: Any) -> Any:
    """The same JSON value without any key whose value is null."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
