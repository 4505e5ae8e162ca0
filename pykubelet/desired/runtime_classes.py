"""The cluster's RuntimeClasses by name."""

from nodekit.kube import watch
from nodekit.kube.client import Client
from nodekit.kube.shelf import Shelf
from nodekit.objects.meta import Key
from pykubelet.model.kinds import RUNTIME_CLASSES, RuntimeClass


class RuntimeClasses:
    """Run it as a task. Only the handlers are kept."""

    def __init__(self, client: Client, shelf: Shelf[str] | None = None) -> None:
        self._reflector: watch.Reflector[RuntimeClass, str] = watch.Reflector(
            client, RUNTIME_CLASSES, keep=lambda found: found.handler, shelf=shelf
        )

    @property
    def synced(self) -> bool:
        """Whether all classes are known."""
        return self._reflector.synced.is_set()

    async def run(self) -> None:
        """Mirror until cancelled."""
        await self._reflector.run()

    def handler(self, name: str) -> str | None:
        """What the runtime calls this class; None if there is none of that name."""
        return self._reflector.store.get(Key("", name))
