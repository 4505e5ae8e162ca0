"""The cluster's trust bundles, watched from the first time a Pod wants one."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from nodekit.kube import watch
from nodekit.kube.client import Client
from pykubelet.model.certificates import CLUSTER_TRUST_BUNDLES, ClusterTrustBundle

PATIENCE: Final = 5.0


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

    async def all(self) -> tuple[ClusterTrustBundle, ...] | None:
        """Every bundle; None if the API server has told of none within a few seconds."""
        self._asked.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._reflector.synced.wait()
        return tuple(self._reflector.store.values()) if self._reflector.synced.is_set() else None
