"""Call a ClusterIP from this thread's namespace: when its answer changes, how long a call takes, how many a second.

No call leaves the client's port in TIME_WAIT, where it stays for a minute with whoever closes first. With 14,000 of the
28,000 ports there, connections take milliseconds each: Linux tries every port of one parity before those of the other.
"""

import contextlib
import os
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

_SILENT: Final = 0.1  # seconds after which a call counts as not answered
_SURE: Final = 5  # calls in a row that must show the new state
_RESET: Final = struct.pack("ii", 1, 0)  # struct linger: closing sends a reset


@dataclass(slots=True)
class _Call:
    socket: socket.socket
    sent: float
    done: float | None = None
    answer: str | None = None


def until(address: str, wanted: str | None, *, every: float = 0.001, limit: float = 30) -> float:
    """Seconds until `address` is answered by the backend `wanted`, or by none when that is None.

    A new connection begins every `every` seconds, whatever became of those before: packets that are dropped cost no
    time. It counts the first call from which on each shows the new state: when its answer came, or for silence when it
    was made. Raises AssertionError after `limit` seconds.
    """
    began = time.perf_counter()
    selector = selectors.DefaultSelector()
    calls: deque[_Call] = deque()
    good: list[float] = []
    try:
        due = began
        while True:
            now = time.perf_counter()
            if now - began > limit:
                raise AssertionError(f"{address} did not become {wanted} within {limit} s")
            if now >= due:
                calls.append(_begin(address, now, selector))
                due = max(due + every, now)
            for key, events in selector.select(max(0.0, min(due - time.perf_counter(), 0.05))):
                _go_on(key.data, events, selector)
            while calls and (calls[0].done is not None or now - calls[0].sent > _SILENT):
                call = calls.popleft()
                _end(call, selector)
                if call.answer != wanted:
                    good.clear()
                    continue
                good.append((call.sent if wanted is None else call.done or now) - began)
                if len(good) == _SURE:
                    return good[0]
    finally:
        for call in calls:
            _end(call, selector)
        selector.close()


def _begin(address: str, now: float, selector: selectors.BaseSelector) -> _Call:
    call = _Call(_socket(address), now)
    call.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    call.socket.setblocking(False)
    try:
        call.socket.connect((address, 80))
    except BlockingIOError:
        selector.register(call.socket, selectors.EVENT_READ, call)
    except OSError:
        call.done = now
    return call


def _go_on(call: _Call, events: int, selector: selectors.BaseSelector) -> None:
    try:
        call.answer = call.socket.recv(50).decode()
    except BlockingIOError:
        return
    except OSError:
        call.answer = None
    call.done = time.perf_counter()
    selector.unregister(call.socket)


def _end(call: _Call, selector: selectors.BaseSelector) -> None:
    with contextlib.suppress(KeyError, ValueError):
        selector.unregister(call.socket)
    call.socket.close()


def connect_times(address: str, count: int) -> list[float]:
    """How long each of that many connections took to be there, in seconds."""
    return [_connect(address) for _ in range(count)]


def rates(address: str, windows: int, *, seconds: float = 0.25) -> list[float]:
    """Connections a second, each opened, answered and closed, one after the other, in that many short windows."""
    return [_rate(address, seconds) for _ in range(windows)]


def _rate(address: str, seconds: float) -> float:
    began = time.perf_counter()
    count = 0
    while (now := time.perf_counter()) - began < seconds:
        _connect(address)
        count += 1
    return count / (now - began)


def _connect(address: str) -> float:
    """How long it took to be there; the backend closes first."""
    with _socket(address) as one:
        began = time.perf_counter()
        one.connect((address, 80))
        taken = time.perf_counter() - began
        while one.recv(50):
            pass
        return taken


@contextlib.contextmanager
def on(cpus: Collection[int]) -> Iterator[None]:
    """This thread on these CPUs. One is best: a caller and a backend take turns, and on two each waits for a CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _socket(address: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
