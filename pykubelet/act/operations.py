"""The operations under way for each Pod: named background tasks, one per key, so that no step of a Pod ever waits."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias, TypeVar

from pykubelet.model import actions
from pykubelet.model.actions import Action, OpKey
from pykubelet.model.ids import Uid

T = TypeVar("T")
Work: TypeAlias = Callable[[Action], Coroutine[Any, Any, None]]

PATIENCE = 10.0
"""Seconds that a cancelled operation gets to see the end of a call the runtime is busy with."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Operation:
    action: Action
    task: asyncio.Task[None]
    began: float
    """In the loop's time."""


class Operations:
    """Starts, finds and cancels operations. `ended(uid, action, error)` is told once each is over; None is success.

    A cancelled operation is told with its CancelledError. Until then its key stays taken.
    """

    def __init__(self, ended: Callable[[Uid, Action, BaseException | None], None]) -> None:
        self._ended = ended
        self._running: dict[Uid, dict[OpKey, _Operation]] = {}

    def under_way(self, uid: Uid) -> Mapping[OpKey, Action]:
        """What runs for this Pod now."""
        return {key: operation.action for key, operation in self._running.get(uid, {}).items()}

    def durations(self, uid: Uid) -> Mapping[OpKey, float]:
        """For how many seconds each has been under way."""
        now = asyncio.get_running_loop().time()
        return {key: now - operation.began for key, operation in self._running.get(uid, {}).items()}

    def start(self, uid: Uid, action: Action, work: Work) -> bool:
        """Run `work(action)` in the background. False if one with its key is under way and is not to be taken over."""
        mine = self._running.setdefault(uid, {})
        before = mine.get(action.key)
        if before is not None:
            if not _hastens(action, before.action):
                return False
            before.task.cancel()
        task = asyncio.create_task(work(action), name=f"{uid}:{action.key}")
        operation = mine[action.key] = _Operation(action, task, asyncio.get_running_loop().time())
        task.add_done_callback(lambda task: self._over(uid, operation, task))
        return True

    def cancel(self, uid: Uid, kinds: tuple[type[Action], ...]) -> None:
        """Ask the operations of these kinds to end. Asking again does not hurry them."""
        for operation in list(self._running.get(uid, {}).values()):
            if isinstance(operation.action, kinds) and not operation.task.cancelling():
                operation.task.cancel()

    async def close(self) -> None:
        """Cancel everything and wait for its end."""
        tasks = [operation.task for mine in self._running.values() for operation in mine.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _over(self, uid: Uid, operation: _Operation, task: asyncio.Task[None]) -> None:
        mine = self._running.get(uid, {})
        if mine.get(operation.action.key) is not operation:
            return  # taken over: its successor will tell
        del mine[operation.action.key]
        if not mine:
            del self._running[uid]
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._ended(uid, operation.action, error)


def _hastens(new: Action, old: Action) -> bool:
    return (
        isinstance(new, actions.StopContainer) and isinstance(old, actions.StopContainer) and new.kill_at < old.kill_at
    )


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Await something that must not be left half done: a cancellation takes effect once it has ended.

    The runtime goes on with a call whose caller has left; an operation that left it could not know what it made.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_told_to_nobody)
        done, _ = await asyncio.wait([task], timeout=PATIENCE)
        if not done:
            task.cancel()
        raise


def _told_to_nobody(task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.debug("it failed after it was cancelled: %s", error)
