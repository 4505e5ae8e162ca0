"""A container's log file becomes what `kubectl logs` prints."""

import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykubelet.serve import log_format, logs
from pykubelet.serve.log_format import Options, Renderer, Stream

T = "2026-11-24T10:15:00"
FILE = (
    f"{T}.1Z stdout F one\n"
    f"{T}.25Z stderr F two\n"
    f"{T}.300000001Z stdout P thr\n"
    f"{T}.300000002Z stdout F ee\n"
    f"{T}Z stdout F \n"
).encode()
NOW = dt.datetime(2026, 11, 24, 10, 15, 30, tzinfo=dt.UTC)


def rendered(data: bytes, options: Options, *, piece: int = 1 << 20) -> bytes:
    renderer = Renderer(options)
    answer = b"".join(renderer.feed(data[i : i + piece]) for i in range(0, len(data), piece))
    return answer + renderer.finish()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(Options(), b"one\ntwo\nthree\n\n", id="lines in pieces are joined"),
        pytest.param(Options(stream=Stream.STDERR), b"two\n", id="one stream alone"),
        pytest.param(Options(limit_bytes=5), b"one\nt", id="the limit counts bytes of the answer"),
        pytest.param(
            Options(timestamps=True, stream=Stream.STDOUT),
            f"{T}.100000000Z one\n{T}.300000001Z three\n{T}.000000000Z \n".encode(),
            id="a line has one timestamp, of nine digits",
        ),
        pytest.param(
            Options(since=dt.datetime(2026, 11, 24, 10, 15, 0, 250000, tzinfo=dt.UTC)),
            b"two\nthree\n",
            id="since includes its instant",
        ),
    ],
)
def test_a_file_is_rendered(options: Options, expected: bytes) -> None:
    assert rendered(FILE, options) == expected


@given(piece=st.integers(1, 60), limit=st.none() | st.integers(1, 40))
def test_how_a_file_is_cut_when_read_makes_no_difference(piece: int, limit: int | None) -> None:
    options = Options(limit_bytes=limit, timestamps=True)
    assert rendered(FILE, options, piece=piece) == rendered(FILE, options)


PARTS = st.sampled_from([b"stdout ", b"stderr ", b"F ", b"P ", b"2026-11-24T10:15:00.1Z ", b"{", b"\n", b"x ", b"."])


@given(st.lists(PARTS | st.binary(max_size=3)).map(b"".join))
def test_no_file_breaks_it(data: bytes) -> None:
    rendered(data, Options(timestamps=True, since=NOW))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(b"2026-11-24T10:15:00Z stdout F a b\n", (b"a b", True), id="a whole line"),
        pytest.param(b"2026-11-24T10:15:00Z stdout P a", (b"a", False), id="a piece"),
        pytest.param(b"2026-11-24T10:15:00Z stdout F:x a", (b"a", True), id="later tags are passed over"),
        pytest.param(b'{"log":"a\\n","stream":"stdout","time":"2026-11-24T10:15:00Z"}', (b"a", True), id="Docker"),
        pytest.param(
            b'{"log":"a","stream":"stdout","time":"2026-11-24T10:15:00Z"}', (b"a", False), id="a Docker piece"
        ),
        pytest.param(b"garbage", None, id="garbage"),
        pytest.param(b"{", None, id="broken JSON"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_a_line_is_parsed(line: bytes, expected: tuple[bytes, bool] | None) -> None:
    parsed = log_format.parse(line)
    assert (parsed and (parsed.text, parsed.ends)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b"1970-01-01T00:00:01Z", 1_000_000_000, id="whole seconds"),
        pytest.param(b"1970-01-01T00:00:01.5Z", 1_500_000_000, id="a fraction"),
        pytest.param(b"1970-01-01T01:00:01.000000007+01:00", 1_000_000_007, id="another zone"),
    ],
)
def test_a_time_is_exact(text: bytes, expected: int) -> None:
    assert log_format.nanoseconds(text) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({}, Options(), id="nothing asked"),
        pytest.param({"follow": "true", "timestamps": "1"}, Options(follow=True, timestamps=True), id="switches"),
        pytest.param({"tailLines": "0"}, Options(tail_lines=0), id="no line at all"),
        pytest.param({"tail": "all", "tailLines": "3"}, Options(), id="tail=all is every line"),
        pytest.param({"sinceSeconds": "5"}, Options(since=NOW - dt.timedelta(seconds=5)), id="seconds ago"),
        pytest.param({"sinceSeconds": "99999999999"}, Options(), id="longer ago than there are years"),
        pytest.param({"sinceSeconds": "9" * 30}, Options(), id="longer ago than seconds are counted"),
        pytest.param({"sinceTime": "2026-11-24T10:15:30Z"}, Options(since=NOW), id="since a time"),
        pytest.param({"stream": "Stderr"}, Options(stream=Stream.STDERR), id="a stream"),
    ],
)
def test_a_query_is_read(query: dict[str, str], expected: Options) -> None:
    assert dataclasses.asdict(logs.options(query, now=NOW)) == dataclasses.asdict(expected)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        pytest.param({"tailLines": "x"}, logs.Undecodable, id="no number"),
        pytest.param({"sinceTime": "noon"}, logs.Undecodable, id="no time"),
        pytest.param({"tailLines": "-1"}, logs.Invalid, id="fewer than no lines"),
        pytest.param({"limitBytes": "0"}, logs.Invalid, id="no bytes"),
        pytest.param({"sinceSeconds": "0"}, logs.Invalid, id="since now"),
        pytest.param({"sinceSeconds": "1", "sinceTime": "2026-11-24T10:15:30Z"}, logs.Invalid, id="since both"),
        pytest.param({"stream": "Both"}, logs.Invalid, id="an unknown stream"),
        pytest.param({"stream": "Stdout", "tailLines": "1"}, logs.Invalid, id="the tail of one stream"),
    ],
)
def test_a_query_is_refused(query: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        logs.options(query, now=NOW)
