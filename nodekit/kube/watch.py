"""Keeps a store equal to what the API server holds: lists, watches, and heals whatever breaks in between."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

import msgspec

from nodekit.aio.backoff import Backoff
from nodekit.kube import errors
from nodekit.kube.client import EVERYTHING, Client, Selection, WatchLine
from nodekit.kube.shelf import Shelf
from nodekit.objects import base, codec, meta, status
from nodekit.objects.resource import Resource

T = TypeVar("T", bound=meta.ApiObject)
V = TypeVar("V")

log = logging.getLogger(__name__)

# The server sends a bookmark about once a minute: a watch silent for longer than this is dead.
_STALLED: Final = 150.0
# A watch is renewed after a while, each at another moment, so that servers share the load after a restart.
_SHORTEST, _LONGEST = 300, 600
_BACKOFF: Final = Backoff(base=0.2, cap=10.0, jitter=0.5)
# How far apart the watches of one agent come back when the server does.
_SCATTER: Final = 0.3
# A watch that ended sooner than this did not work, whatever it said.
_TOO_SHORT: Final = 1.0

_line_decoder: Final = msgspec.json.Decoder(WatchLine)


@dataclass(frozen=True, slots=True)
class Change(Generic[V]):
    """One object that came, changed or went; the store already shows it."""

    key: meta.Key
    old: V | None
    new: V | None

    @property
    def kind(self) -> Literal["added", "updated", "deleted"]:
        """What happened."""
        if self.old is None:
            return "added"
        return "deleted" if self.new is None else "updated"


class Store(Mapping[meta.Key, V], Generic[V]):
    """The objects by key, read-only to all but its reflector."""

    def __init__(self) -> None:
        self._items: dict[meta.Key, V] = {}

    def __getitem__(self, key: meta.Key) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[meta.Key]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


class _Identified(base.Object):
    metadata: meta.ObjectMeta = meta.ObjectMeta()


class Reflector(Generic[T, V]):
    """Mirrors the selected objects of a kind into `store`, each as `keep(object)`; None from `keep` leaves it out.

    Callbacks are told of every change after the store shows it, in order, from the event loop. `synced` is set once the
    store may be used: it holds the first list, or what the shelf has while no server answers. `fresh` is set by a list
    alone.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource[T],
        *,
        keep: Callable[[T], V | None],
        selection: Selection = EVERYTHING,
        shelf: Shelf[V] | None = None,
    ) -> None:
        self.store: Store[V] = Store()
        self.synced = asyncio.Event()
        self.fresh = asyncio.Event()
        self.shelved: Callable[[], Mapping[meta.Key, V]] = lambda: self.store
        self.failing_since: float | None = None  # loop time; None while the watch works
        self._client = client
        self._resource = resource
        self._keep = keep
        self._selection = selection
        self._shelf = shelf
        self._callbacks: list[Callable[[Change[V]], None]] = []
        self._version = ""  # empty: a list is due

    def subscribe(self, callback: Callable[[Change[V]], None]) -> None:
        """Be told of each change from now on."""
        self._callbacks.append(callback)

    async def run(self) -> None:
        """Mirror until cancelled."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                if loop.time() - began >= _TOO_SHORT:
                    failures = 0
                    continue
                failures += 1
            except errors.Expired:
                log.info("%s: the watch is too old to go on, listing anew", self._resource.plural)
                self._version = ""
                failures += 1
                if failures == 1:
                    continue
            except errors.ApiError as error:
                if loop.time() - began > 2 * _BACKOFF.cap:
                    failures = 0
                failures += 1
                self._note_failure(error, failures)
                if error.transient and not self.synced.is_set():
                    self._recall()
            await self._pause(_BACKOFF.delay(failures, random=random.random))

    async def _pause(self, delay: float) -> None:
        """Wait that long, or until anybody reached the server again."""
        try:
            async with asyncio.timeout(delay):
                await self._client.transport.reached()
                await asyncio.sleep(_SCATTER * random.random())
        except TimeoutError:
            return

    def _note_failure(self, error: errors.ApiError, failures: int) -> None:
        if self.failing_since is None:
            self.failing_since = asyncio.get_running_loop().time()
        # The first failure is often just a server that restarts; later ones are told ever less often.
        if failures & (failures - 1) == 0:
            level = logging.INFO if failures == 1 else logging.WARNING
            log.log(level, "%s: not up to date: %s", self._resource.plural, error)

    def remember(self) -> None:
        """Have the shelf hold what is so now; it is told of every change of the store without being asked."""
        # Before a server has answered, the shelf is the only one who knows anything.
        if self._shelf is not None and self.synced.is_set():
            self._shelf.keep(self.shelved)

    def _recall(self) -> None:
        """Go on from what was known last."""
        known = self._shelf.load() if self._shelf is not None else None
        if known is None:
            return
        log.warning("%s: no API server answers: going on with the %d last known", self._resource.plural, len(known))
        self.store._items = known
        self._tell(*(Change(key, None, item) for key, item in known.items()))
        self.synced.set()

    async def _list(self) -> None:
        before = self.store._items
        fresh: dict[meta.Key, V] = {}
        version = ""
        async for page in self._client.pages(self._resource, self._selection):
            version = version or page.metadata.resource_version
            for item in page.items:
                kept = self._kept(item)
                if kept is not None:
                    key = item.key
                    old = before.get(key)
                    fresh[key] = old if old == kept and old is not None else kept
        gone = [Change(key, old, None) for key, old in before.items() if key not in fresh]
        here = [Change(key, old, new) for key, new in fresh.items() if (old := before.get(key)) is not new]
        self.store._items = fresh
        self._version = version
        self._works()
        self._tell(*gone, *here)
        self.synced.set()
        self.fresh.set()
        self.remember()

    async def _watch(self) -> None:
        query = {
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(_SHORTEST, _LONGEST)),
        }
        async with self._client.watch(self._resource, self._selection, query=query) as lines:
            self._works()
            async for line in self._unstalled(lines):
                self._take(line)

    async def _unstalled(self, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(_STALLED):
                    line = await anext(lines)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise self._error(f"the watch was silent for {_STALLED:g}s") from error
            yield line

    def _take(self, line: bytes) -> None:
        try:
            event = _line_decoder.decode(line)
            match event.type:
                case "ADDED" | "MODIFIED":
                    self._read(event.object)
                case "DELETED":
                    self._remove(codec.decode(_Identified, event.object))
                case "BOOKMARK":
                    self._version = codec.decode(_Identified, event.object).metadata.resource_version
                case "ERROR":
                    said = codec.decode(status.Status, event.object)
                    raise errors.of(f"watch {self._resource.plural}", said, server=self._client.transport.server)
                case other:
                    log.warning("%s: a watch line of unknown type %s", self._resource.plural, other)
        except codec.DecodeError as error:
            self._version = ""
            raise self._error(f"a watch line does not fit: {error}") from error

    def _kept(self, item: T) -> V | None:
        try:
            return self._keep(item)
        except MemoryError:  # no fault of the item's: without it the mirror would be wrong until the next list
            raise
        except Exception:
            log.exception("%s %s is left out: it could not be taken in", self._resource.plural, item.key)
            return None

    def _read(self, raw: msgspec.Raw) -> None:
        try:
            item = codec.decode(self._resource.type, raw)
        except codec.DecodeError as error:
            # One object that does not fit keeps its last good state here; it never stops its neighbours.
            self._version = codec.decode(_Identified, raw).metadata.resource_version
            log.error("%s: an object does not fit: %s: %.200s", self._resource.plural, error, bytes(raw))
        else:
            self._put(item)

    def _put(self, item: T) -> None:
        self._version = item.metadata.resource_version
        key, new = item.key, self._kept(item)
        if new is None:
            self._drop(key)
            return
        old = self.store._items.get(key)
        self.store._items[key] = new
        self._tell(Change(key, old, new))
        self.remember()

    def _remove(self, item: _Identified) -> None:
        self._version = item.metadata.resource_version
        self._drop(meta.Key(item.metadata.namespace, item.metadata.name))

    def _drop(self, key: meta.Key) -> None:
        old = self.store._items.pop(key, None)
        if old is not None:
            self._tell(Change(key, old, None))
            self.remember()

    def _tell(self, *changes: Change[V]) -> None:
        for change in changes:
            for callback in self._callbacks:
                try:
                    callback(change)
                except MemoryError:  # a change that nobody has heard of is lost
                    raise
                except Exception:
                    log.exception("%s: a callback failed on %s %s", self._resource.plural, change.kind, change.key)

    def _works(self) -> None:
        if self.failing_since is not None:
            log.info("%s: up to date again", self._resource.plural)
            self.failing_since = None

    def _error(self, message: str) -> errors.ApiError:
        return errors.Unreachable(
            f"watch {self._resource.plural}", server=self._client.transport.server, message=message
        )


def whole(
    client: Client, resource: Resource[T], *, selection: Selection = EVERYTHING, shelf: Shelf[T] | None = None
) -> Reflector[T, T]:
    """A reflector that keeps the objects as they are."""
    return Reflector(client, resource, keep=lambda item: item, selection=selection, shelf=shelf)
