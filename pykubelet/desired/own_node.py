"""This machine's Node object as the API has it: a watch of one object."""

import logging
from collections.abc import Callable

from nodekit.kube import watch
from nodekit.kube.client import Client, Selection
from nodekit.kube.shelf import Shelf
from nodekit.objects import meta
from nodekit.objects.node import NODES, Node

log = logging.getLogger(__name__)


class OwnNode:
    """Run it as a task. `current` is None until the object is seen, and after somebody deleted it."""

    def __init__(self, client: Client, *, name: str, shelf: Shelf[Node] | None = None) -> None:
        self.name = name
        self._key = meta.Key("", name)
        selection = Selection(fields=f"metadata.name={name}")
        self._reflector = watch.whole(client, NODES, selection=selection, shelf=shelf)

    @property
    def current(self) -> Node | None:
        """The Node as the watch last showed it."""
        return self._reflector.store.get(self._key)

    @property
    def synced(self) -> bool:
        """Whether the API has been asked: only then does None mean that there is no such Node."""
        return self._reflector.fresh.is_set()

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Be told whenever it came, changed or went."""
        self._reflector.subscribe(lambda _: callback())

    async def run(self) -> None:
        """Mirror until cancelled."""
        await self._reflector.run()

    async def wait_synced(self) -> None:
        """Wait until the API has answered once, or the Node it last told of is taken for it."""
        await self._reflector.synced.wait()
