"""SPDY frames, as a runtime's streaming server reads and writes them."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykubelet.serve import spdy
from pykubelet.serve.spdy import Data, GoAway, Ping, Reset

PING = bytes.fromhex("8003 0006 00000004 00000002")
RESET = bytes.fromhex("8003 0003 00000008 00000005 00000001")
GOAWAY = bytes.fromhex("8003 0007 00000008 00000001 00000000")
REPLY = bytes.fromhex("8003 0002 00000006 00000001 ffff")
SETTINGS = bytes.fromhex("8003 0004 00000004 00000000")


def test_streams_are_opened_with_odd_numbers_and_one_compressor() -> None:
    writer, unpacked = spdy.Writer(), zlib.decompressobj()
    for number, name in ((1, "error"), (3, "stdin")):
        stream, frame = writer.open({"streamtype": name})
        head, length = frame[:4], int.from_bytes(frame[5:8], "big")
        assert (stream, head, frame[4], length) == (number, b"\x80\x03\x00\x01", 0, len(frame) - 8)
        assert frame[8:12] == struct.pack(">I", number)
        block = unpacked.decompress(frame[18:])
        words = b"".join(struct.pack(">I", len(word)) + word for word in (b"streamtype", name.encode()))
        assert block == struct.pack(">I", 1) + words


@pytest.mark.parametrize(
    ("sent", "frames"),
    [
        pytest.param(spdy.Writer().data(3, b"hello"), [Data(3, b"hello", False)], id="data"),
        pytest.param(spdy.Writer().data(3, b"", ends=True), [Data(3, b"", True)], id="the end of a stream"),
        pytest.param(PING, [Ping(PING)], id="a ping"),
        pytest.param(RESET, [Reset(5)], id="a stream given up"),
        pytest.param(GOAWAY, [GoAway()], id="no more streams"),
        pytest.param(REPLY + SETTINGS, [], id="what a client may ignore"),
    ],
)
def test_frames_are_read(sent: bytes, frames: list[spdy.Frame]) -> None:
    assert list(spdy.Reader().feed(sent)) == frames


@given(st.lists(st.tuples(st.integers(1, 9), st.binary(max_size=40), st.booleans())), st.integers(1, 17))
def test_frames_are_read_however_they_are_cut(sent: list[tuple[int, bytes, bool]], size: int) -> None:
    writer, reader = spdy.Writer(), spdy.Reader()
    stream = b"".join(writer.data(number, data, ends=ends) for number, data, ends in sent)
    parts = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert [frame for part in parts for frame in reader.feed(part)] == [Data(*one) for one in sent]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n" * 20, None, id="text looks like data of a stream nobody opened"),
        pytest.param(bytes.fromhex("8002 0006 00000004 00000002"), "version 2", id="another version"),
        pytest.param(bytes.fromhex("8003 0003 00000000"), "not said which", id="a reset of nothing"),
    ],
)
def test_what_is_no_frame_is_said(sent: bytes, said: str | None) -> None:
    if said is None:
        assert list(spdy.Reader().feed(sent)) == []
        return
    with pytest.raises(ValueError, match=said):
        list(spdy.Reader().feed(sent))
