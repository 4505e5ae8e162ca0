"""The little of SPDY/3.1 that a client of a runtime's streaming server needs: frames out, frames in. No I/O.

There is no flow control: neither containerd's nor CRI-O's server (moby/spdystream) does any, TCP's holds both sides up.
Headers are compressed without the protocol's dictionary, which a reader must allow; those that come back are not read.
Source: the SPDY draft 3.1, sections 2.2 and 2.6.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

UPGRADE: Final = "SPDY/3.1"
_FIN: Final = 0x01
_CONTROL: Final = 0x80
_VERSION: Final = b"\x80\x03"
_SYN_STREAM, _RST_STREAM, _PING, _GOAWAY = 1, 3, 6, 7
_HEAD: Final = 8
_WORD: Final = struct.Struct(">I")
_STREAM: Final = 0x7FFFFFFF


class Data(NamedTuple):
    """Bytes of a stream; with `ends`, its last."""

    stream: int
    data: bytes
    ends: bool


class Reset(NamedTuple):
    """The server gave a stream up."""

    stream: int


class Ping(NamedTuple):
    """To be sent back as it is."""

    frame: bytes


class GoAway(NamedTuple):
    """The server takes no more streams."""


Frame: TypeAlias = Data | Reset | Ping | GoAway


class Writer:
    """Makes frames. Streams are numbered 1, 3, 5, ... in the order in which they are opened."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj()
        self._next = 1

    def open(self, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """A new stream: its number, and the frame. Names are in lower case."""
        words = [word.encode() for pair in headers.items() for word in pair]
        block = _WORD.pack(len(headers)) + b"".join(_WORD.pack(len(word)) + word for word in words)
        packed = self._compressor.compress(block) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        stream, self._next = self._next, self._next + 2
        return stream, _control(_SYN_STREAM, _WORD.pack(stream) + bytes(6) + packed)

    def data(self, stream: int, data: bytes, *, ends: bool = False) -> bytes:
        """Bytes of a stream, at most 16 MiB of them."""
        return _WORD.pack(stream) + _WORD.pack((_FIN if ends else 0) << 24 | len(data)) + data


def _control(kind: int, payload: bytes) -> bytes:
    return _VERSION + kind.to_bytes(2, "big") + _WORD.pack(len(payload)) + payload


class Reader:
    """Takes bytes as they come, gives frames; kinds that a client may ignore are left out."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole with these bytes. Raises ValueError when they are not SPDY."""
        self._waiting += data
        while len(self._waiting) >= _HEAD:
            first, second = _WORD.unpack_from(self._waiting)[0], _WORD.unpack_from(self._waiting, 4)[0]
            end = _HEAD + (second & 0xFFFFFF)
            if len(self._waiting) < end:
                return
            frame = bytes(self._waiting[:end])
            del self._waiting[:end]
            if not frame[0] & _CONTROL:
                yield Data(first & _STREAM, frame[_HEAD:], bool(frame[4] & _FIN))
            elif (found := _control_frame(frame)) is not None:
                yield found


def _control_frame(frame: bytes) -> Frame | None:
    if frame[:2] != _VERSION:
        raise ValueError(f"a frame of SPDY version {int.from_bytes(frame[:2], 'big') & 0x7FFF}, not 3")
    match int.from_bytes(frame[2:4], "big"):
        case kind if kind == _RST_STREAM:
            if len(frame) < _HEAD + 4:
                raise ValueError("a stream is reset, but not said which")
            return Reset(_WORD.unpack_from(frame, _HEAD)[0] & _STREAM)
        case kind if kind == _PING:
            return Ping(frame)
        case kind if kind == _GOAWAY:
            return GoAway()
    return None
