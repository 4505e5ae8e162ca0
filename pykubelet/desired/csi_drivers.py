"""The CSIDrivers of the cluster: what each storage driver wants of a kubelet."""

from nodekit.kube import watch
from nodekit.kube.client import Client
from nodekit.kube.shelf import Shelf
from nodekit.objects.meta import Key
from pykubelet.model.storage import CSI_DRIVERS, CSIDriverSpec


class CSIDrivers:
    """Run it as a task."""

    def __init__(self, client: Client, shelf: Shelf[CSIDriverSpec] | None = None) -> None:
        self._reflector = watch.Reflector(client, CSI_DRIVERS, keep=lambda found: found.spec, shelf=shelf)

    async def run(self) -> None:
        """Mirror until cancelled."""
        await self._reflector.run()

    def get(self, name: str) -> CSIDriverSpec | None:
        """What a driver wants, the defaults if there is no object of its name; None while none is known."""
        if not self._reflector.synced.is_set():
            return None
        return self._reflector.store.get(Key("", name), CSIDriverSpec())
