"""Call a ClusterIP from this thread's namespace: when its answer changes, how long a call takes, how many a second."""

import contextlib
import multiprocessing
import selectors
import socket
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

_SILENT: Final = 0.1  # seconds after which a call counts as not answered
_SURE: Final = 5  # calls in a row that must show the new state


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


def _connect(address: str) -> float:
    with _socket(address) as one:
        began = time.perf_counter()
        one.connect((address, 80))
        taken = time.perf_counter() - began
        one.recv(50)
        return taken


def throughput(address: str, count: int, *, workers: int = 2) -> float:
    """Connections a second, each opened, answered and closed, by that many workers at the same time."""
    fork = multiprocessing.get_context("fork")  # the children are in this thread's network namespace
    processes = [fork.Process(target=connect_times, args=(address, count // workers)) for _ in range(workers)]
    began = time.perf_counter()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    taken = time.perf_counter() - began
    assert not any(process.exitcode for process in processes)
    return count / taken


def _socket(address: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
