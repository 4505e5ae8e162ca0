"""The only store of the Pods this node shall run, by UID, from all their sources. Wake-ups carry UIDs."""

import asyncio
import enum
import logging
from collections.abc import Callable, Iterator

from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod

log = logging.getLogger(__name__)


class Source(enum.Enum):
    """Where a Pod is asked for. The values are those of the annotation kubernetes.io/config.source."""

    API = "api"
    FILE = "file"


class Desired:
    """Each source writes its own Pods; `wake(uid)` is called for each that came, changed or went."""

    def __init__(self, *, wake: Callable[[Uid], None]) -> None:
        self._wake = wake
        self._pods: dict[Uid, Pod] = {}
        self._sources: dict[Uid, Source] = {}
        self._waiting_for = set(Source)
        self._synced = asyncio.Event()

    def __iter__(self) -> Iterator[Pod]:
        return iter(list(self._pods.values()))

    def __len__(self) -> int:
        return len(self._pods)

    @property
    def synced(self) -> bool:
        """Whether every source has told all it has: only then is a Pod that is not wanted known to be an orphan."""
        return not self._waiting_for

    def get(self, uid: Uid) -> Pod | None:
        """The Pod as it is wanted now."""
        return self._pods.get(uid)

    def source(self, uid: Uid) -> Source | None:
        """Where it is asked for."""
        return self._sources.get(uid)

    def put(self, pod: Pod, source: Source, *, news: bool = True) -> None:
        """A source wants this Pod, in this form; nobody is woken for what is no `news`."""
        if self._pods.get(pod.uid) == pod:
            return
        self._pods[pod.uid] = pod
        self._sources[pod.uid] = source
        if news:
            self._wake(pod.uid)

    def drop(self, uid: Uid, source: Source) -> None:
        """A source no longer wants it: the API has removed it, or its file is gone."""
        if self._sources.get(uid) is not source:
            return
        del self._pods[uid], self._sources[uid]
        self._wake(uid)

    def touch(self, uid: Uid) -> None:
        """Something about this Pod has changed elsewhere."""
        self._wake(uid)

    def source_synced(self, source: Source) -> None:
        """A source has told all it has."""
        self._waiting_for.discard(source)
        if not self._waiting_for:
            self._synced.set()

    async def wait_synced(self) -> None:
        """Wait until every source has told all it has."""
        await self._synced.wait()
