"""The cluster's trust bundles, watched from the first time a Pod wants one."""

import asyncio
from collections.abc import Callable

from nodekit.kube import watch
from nodekit.kube.client import Client
from pykubelet.model.certificates import CLUSTER_TRUST_BUNDLES, ClusterTrustBundle


class TrustBundles:
    """Run it as a task. `changed()` is called whenever a bundle came, changed or went."""

    def __init__(self, client: Client, *, changed: Callable[[], None]) -> None:
        self._reflector = watch.whole(client, CLUSTER_TRUST_BUNDLES)
        self._reflector.subscribe(lambda _: changed())
        self._changed = changed
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Mirror until cancelled, once somebody has asked."""
        await self._asked.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reflector.run(), name="mirror trust bundles")
            await self._reflector.synced.wait()
            # With no bundle at all there is no change to be told of, but those who wait must look again.
            self._changed()

    def all(self) -> tuple[ClusterTrustBundle, ...] | None:
        """Every bundle; None while they are not known yet."""
        self._asked.set()
        return tuple(self._reflector.store.values()) if self._reflector.synced.is_set() else None
