"""All Services of the cluster, for the environment variables that name them. One watch."""

from nodekit.kube import watch
from nodekit.kube.client import Client
from nodekit.kube.shelf import Shelf
from pykubelet.model.kinds import SERVICES, Service


class Services:
    """Run it as a task. Only what environments need is kept, as there may be thousands."""

    def __init__(self, client: Client, shelf: Shelf[Service] | None = None) -> None:
        self._reflector = watch.Reflector(client, SERVICES, keep=_with_address, shelf=shelf)

    @property
    def synced(self) -> bool:
        """Whether all Services are known: until then no container may start, as its environment would lack some."""
        return self._reflector.synced.is_set()

    async def run(self) -> None:
        """Mirror until cancelled."""
        await self._reflector.run()

    def all(self) -> tuple[Service, ...]:
        """Those that have a cluster address."""
        return tuple(self._reflector.store.values())


def _with_address(service: Service) -> Service | None:
    return service if service.spec.cluster_ip not in ("", "None") else None
