"""One sequential worker per key. Wake-ups carry keys, never facts: the worker re-reads the state it works on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from nodekit.aio.backoff import Backoff

K = TypeVar("K", bound=Hashable)

log = logging.getLogger(__name__)

DEFAULT_BACKOFF: Final = Backoff(base=0.1, cap=30.0)


@dataclass(slots=True)
class _Worker:
    task: asyncio.Task[None] | None = None
    woken: bool = False
    timer: asyncio.TimerHandle | None = None
    failures: int = 0
    not_before: float = 0.0  # loop time: a failing key is not tried again sooner, however often it is woken


class KeyedWorkers(Generic[K]):
    """Calls `handle(key)` for woken keys: one call at a time per key, different keys at the same time.

    `handle` returns the seconds after which it wants to be called again, or None to wait for the next wake-up.
    A wake-up during a call causes exactly one further call, so none is lost. An error is logged, told to
    `on_error(key, error, delay)` and backed off for that key alone; a wake-up shortens that wait to the backoff's
    base, no further. A key that has nothing to do costs nothing.
    """

    def __init__(
        self,
        handle: Callable[[K], Awaitable[float | None]],
        *,
        name: str,
        backoff: Backoff = DEFAULT_BACKOFF,
        on_error: Callable[[K, Exception, float], None] | None = None,
    ) -> None:
        self._handle = handle
        self._name = name
        self._backoff = backoff
        self._on_error = on_error
        self._workers: dict[K, _Worker] = {}
        self._running = False
        self._busy = 0
        self._settled = asyncio.Event()
        self._settled.set()

    @property
    def keys(self) -> frozenset[K]:
        """The keys that run, wait for a timer or are backed off."""
        return frozenset(self._workers)

    def wake(self, key: K, *, after: float = 0.0) -> None:
        """Have the key handled soon, or `after` seconds from now unless something earlier comes first."""
        worker = self._workers.get(key)
        if worker is None:
            worker = self._workers[key] = _Worker()
        if after > 0.0:
            self._set_timer(key, worker, after)
        else:
            worker.woken = True
            self._start(key, worker)

    async def run(self) -> None:
        """Work until cancelled; then every call under way is cancelled and awaited."""
        self._running = True
        try:
            for key, worker in list(self._workers.items()):
                if worker.woken:
                    self._start(key, worker)
            await asyncio.get_running_loop().create_future()
        finally:
            self._running = False
            await self._stop()

    async def settled(self) -> None:
        """Wait until no call is under way (timers may still be set)."""
        await self._settled.wait()

    def _start(self, key: K, worker: _Worker) -> None:
        if not self._running or worker.task is not None:
            return
        wait = worker.not_before - asyncio.get_running_loop().time()
        if wait > 0.0:
            self._set_timer(key, worker, wait)
            return
        self._busy += 1
        self._settled.clear()
        worker.task = asyncio.create_task(self._work(key, worker), name=f"{self._name}:{key}")
        worker.task.add_done_callback(lambda task: self._ended(key, worker, task))

    def _set_timer(self, key: K, worker: _Worker, delay: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        if worker.timer is not None:
            if worker.timer.when() <= due:
                return
            worker.timer.cancel()
        worker.timer = loop.call_at(due, self._ring, key, worker)

    def _ring(self, key: K, worker: _Worker) -> None:
        worker.timer = None
        worker.woken = True
        self._start(key, worker)

    async def _work(self, key: K, worker: _Worker) -> None:
        while worker.woken:
            worker.woken = False
            if worker.timer is not None:
                worker.timer.cancel()
                worker.timer = None
            try:
                again = await self._handle(key)
            except Exception as error:
                self._failed(key, worker, error)
                return
            worker.failures = 0
            if again is not None and not worker.woken:
                self._again(key, worker, again)

    def _again(self, key: K, worker: _Worker, delay: float) -> None:
        if delay > 0.0:
            self._set_timer(key, worker, delay)
        else:
            worker.woken = True

    def _failed(self, key: K, worker: _Worker, error: Exception) -> None:
        worker.failures += 1
        delay = self._backoff.delay(worker.failures)
        worker.not_before = asyncio.get_running_loop().time() + min(delay, self._backoff.base)
        self._set_timer(key, worker, delay)
        log.error("%s of %s failed, tried again in %.1fs", self._name, key, delay, exc_info=error)
        if self._on_error is not None:
            try:
                self._on_error(key, error, delay)
            except Exception:
                log.exception("%s of %s: telling of the failure failed", self._name, key)

    def _ended(self, key: K, worker: _Worker, task: asyncio.Task[None]) -> None:
        worker.task = None
        self._busy -= 1
        if worker.woken and not task.cancelled():
            self._start(key, worker)
        self._drop_if_idle(key, worker)
        if self._busy == 0:
            self._settled.set()

    def _drop_if_idle(self, key: K, worker: _Worker) -> None:
        idle = worker.task is None and worker.timer is None and not worker.woken
        if idle and self._workers.get(key) is worker:
            del self._workers[key]

    async def _stop(self) -> None:
        tasks = []
        for worker in self._workers.values():
            if worker.timer is not None:
                worker.timer.cancel()
                worker.timer = None
            if worker.task is not None:
                worker.task.cancel()
                tasks.append(worker.task)
        await asyncio.gather(*tasks, return_exceptions=True)
        self._workers.clear()
