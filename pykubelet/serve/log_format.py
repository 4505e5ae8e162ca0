"""What a container's log file holds, and how its lines become the answer to `kubectl logs`. No I/O.

A file has lines `TIME STREAM TAG TEXT` (CRI; tag P is a piece of a longer line, F its end) or Docker's JSON lines.
"""

import dataclasses
import datetime as dt
import enum
from typing import NamedTuple

import msgspec


class Stream(enum.Enum):
    """The values are those of PodLogOptions.stream."""

    ALL = "All"
    STDOUT = "Stdout"
    STDERR = "Stderr"


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """PodLogOptions. `since` is an instant; None everywhere means no limit."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since: dt.datetime | None = None
    tail_lines: int | None = None
    limit_bytes: int | None = None
    stream: Stream = Stream.ALL


class Line(NamedTuple):  # one is made for every line that is read, and a dataclass is slow to make
    """One line of a file; `text` has no line end, `ends` says whether it ends a line of the container's output."""

    time: bytes
    stream: bytes
    text: bytes
    ends: bool


WHOLE_TIME = len(b"2026-11-24T10:15:00.000000000Z")
STREAMS = (b"stdout", b"stderr")


class DockerLine(msgspec.Struct):
    log: str
    stream: str
    time: str


def parse(line: bytes) -> Line | None:
    """A line of a log file with or without its line end; None if it is neither format."""
    if line.startswith(b"{"):
        return parse_docker(line)
    parts = line.rstrip(b"\n").split(b" ", 3)
    if len(parts) < 3 or parts[1] not in STREAMS:
        return None
    tag = parts[2]
    return Line(parts[0], parts[1], parts[3] if len(parts) == 4 else b"", tag != b"P" and not tag.startswith(b"P:"))


def parse_docker(line: bytes) -> Line | None:
    try:
        entry = msgspec.json.decode(line, type=DockerLine)
    except msgspec.DecodeError:
        return None
    text = entry.log.encode()
    return Line(
        time=entry.time.encode(),
        stream=entry.stream.encode(),
        text=text.removesuffix(b"\n"),
        ends=text.endswith(b"\n"),
    )


def nanoseconds(time: bytes) -> int:
    """RFC 3339 with up to nine digits of a second, as nanoseconds since the epoch. ValueError if it is not that."""
    seconds, _, rest = time.partition(b".")
    digits = len(rest) - len(rest.lstrip(b"0123456789"))
    fraction, zone = (rest[:digits], rest[digits:]) if rest else (b"", b"")
    whole = dt.datetime.fromisoformat((seconds + zone).decode())
    return int(whole.timestamp()) * 1_000_000_000 + int(fraction.ljust(9, b"0")[:9] or b"0")


def padded(time: bytes) -> bytes:
    """The time with nine digits of a second, as the API gives it."""
    if len(time) == WHOLE_TIME and time.endswith(b"Z"):
        return time
    seconds, dot, rest = time.partition(b".")
    if not dot:
        head, zone = (time[:-1], b"Z") if time.endswith(b"Z") else (time[:-6], time[-6:])
        return head + b".000000000" + zone
    digits = len(rest) - len(rest.lstrip(b"0123456789"))
    return seconds + b"." + rest[:digits].ljust(9, b"0") + rest[digits:]


class Renderer:
    """Turns bytes of log files into bytes of the answer; `done` once the limit is reached."""

    def __init__(self, options: Options) -> None:
        self._timestamps = options.timestamps
        self._stream = b"" if options.stream is Stream.ALL else options.stream.value.lower().encode()
        self._since = int(options.since.timestamp() * 1e9) if options.since else None
        self._left = options.limit_bytes
        self._broken = b""
        self._at_start = True
        self.done = options.limit_bytes == 0

    def feed(self, data: bytes) -> bytes:
        """What to send for these bytes; a line without its end waits for more."""
        lines = (self._broken + data).split(b"\n")
        self._broken = lines.pop()
        return self._limited(b"".join([self._line(line) for line in lines]))

    def finish(self) -> bytes:
        """What to send for a last line that has no end. A file that was rotated may end so too."""
        line, self._broken = self._broken, b""
        return self._limited(self._line(line)) if line else b""

    def _line(self, raw: bytes) -> bytes:
        line = parse(raw)
        if line is None:
            return b""
        if self._stream and line.stream != self._stream:
            return b""
        if self._since is not None and self._before(line, self._since):
            return b""
        begins, self._at_start = self._at_start, line.ends
        stamp = padded(line.time) + b" " if self._timestamps and begins else b""
        return stamp + line.text + (b"\n" if line.ends else b"")

    @staticmethod
    def _before(line: Line, since: int) -> bool:
        try:
            return nanoseconds(line.time) < since
        except ValueError:
            return True

    def _limited(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        data = data[: self._left]
        self._left -= len(data)
        self.done = self._left == 0
        return data
