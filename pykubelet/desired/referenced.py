"""The ConfigMaps and Secrets that Pods of this node refer to, each watched alone while a Pod refers to it.

The node authorizer lets a node read only what its Pods name, one object at a time.
"""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

from nodekit.kube import watch
from nodekit.kube.client import Client, Selection
from nodekit.kube.shelf import Shelf
from nodekit.objects.meta import Key
from pykubelet.decide.references import Reference, Referred
from pykubelet.model.ids import Uid
from pykubelet.model.kinds import CONFIG_MAPS, SECRETS, ConfigMapOrNot, Missing, NotSynced, SecretOrNot


@dataclasses.dataclass(slots=True)
class _Watched:
    reflector: watch.Reflector[Any, Any]
    shelf: Shelf[Any] | None
    task: asyncio.Task[None]
    holders: set[Uid]


class Referenced:
    """`wake(uid)` is called for each Pod that holds an object that came, changed or went, or was found missing.

    `shelf(reference)` is where an object is kept for a start without API server, None if it is not.
    """

    def __init__(
        self, client: Client, *, wake: Callable[[Uid], None], shelf: Callable[[Reference], Shelf[Any] | None]
    ) -> None:
        self._client = client
        self._wake = wake
        self._shelf = shelf
        self._watched: dict[Reference, _Watched] = {}
        self._held: dict[Uid, frozenset[Reference]] = {}

    def hold(self, uid: Uid, references: frozenset[Reference]) -> None:
        """A Pod refers to exactly these from now on."""
        before = self._held.get(uid, frozenset())
        if references == before:
            return
        self._held[uid] = references
        for reference in references - before:
            self._watch(reference).holders.add(uid)
        for reference in before - references:
            self._leave(reference, uid)

    async def settled(self, uid: Uid, *, patience: float) -> None:
        """Wait until all that a Pod refers to has been read or found missing, for `patience` seconds at most."""
        try:
            async with asyncio.timeout(patience):
                for reference in self._held.get(uid, frozenset()):
                    if (watched := self._watched.get(reference)) is not None:
                        await watched.reflector.synced.wait()
        except TimeoutError:
            return

    def release(self, uid: Uid) -> None:
        """A Pod refers to nothing any more."""
        for reference in self._held.pop(uid, frozenset()):
            self._leave(reference, uid)

    def get_config_map(self, namespace: str, name: str) -> ConfigMapOrNot:
        """A ConfigMap some Pod holds."""
        found: ConfigMapOrNot = self._get(Reference(Referred.CONFIG_MAP, Key(namespace, name)))
        return found

    def get_secret(self, namespace: str, name: str) -> SecretOrNot:
        """A Secret some Pod holds."""
        found: SecretOrNot = self._get(Reference(Referred.SECRET, Key(namespace, name)))
        return found

    async def run(self) -> None:
        """Keep the watches until cancelled; then end them."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            tasks = [watched.task for watched in self._watched.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _get(self, reference: Reference) -> Any:
        watched = self._watched.get(reference)
        if watched is None or not watched.reflector.synced.is_set():
            return NotSynced()
        return watched.reflector.store.get(reference.key, Missing())

    def _watch(self, reference: Reference) -> _Watched:
        watched = self._watched.get(reference)
        if watched is None:
            resource: Any = CONFIG_MAPS if reference.kind is Referred.CONFIG_MAP else SECRETS
            selection = Selection(namespace=reference.key.namespace, fields=f"metadata.name={reference.key.name}")
            shelf = self._shelf(reference)
            reflector = watch.whole(self._client, resource, selection=selection, shelf=shelf)
            reflector.subscribe(lambda _: self._tell(reference))
            task = asyncio.create_task(self._mirror(reference, reflector), name=f"watch {reference}")
            watched = self._watched[reference] = _Watched(reflector, shelf, task, set())
        return watched

    async def _mirror(self, reference: Reference, reflector: watch.Reflector[Any, Any]) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reflector.run(), name=f"mirror {reference}")
            await reflector.synced.wait()
            if reference.key not in reflector.store:
                # What is missing causes no change to be told of, but ends the waiting for it.
                self._tell(reference)

    def _tell(self, reference: Reference) -> None:
        watched = self._watched.get(reference)
        for uid in watched.holders if watched else ():
            self._wake(uid)

    def _leave(self, reference: Reference, uid: Uid) -> None:
        watched = self._watched.get(reference)
        if watched is None:
            return
        watched.holders.discard(uid)
        if not watched.holders:
            watched.task.cancel()
            if watched.shelf is not None:
                watched.shelf.remove()
            del self._watched[reference]
