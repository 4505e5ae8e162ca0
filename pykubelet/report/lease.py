"""Renews this node's Lease, which shows the control plane that the node lives.

Source: component-helpers apimachinery/lease/controller.go; a Lease that is not renewed for 40 s makes the node Unknown.
"""

import logging
import random
from typing import Final

import msgspec

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import Clock
from nodekit.kube import errors
from nodekit.kube.client import Client
from nodekit.objects import lease, meta, times
from nodekit.objects.node import Node
from pykubelet.report import ports

NAMESPACE: Final = "kube-node-lease"
_RENEWED_AFTER: Final = 0.25
"""Of the Lease's duration."""
_JITTER: Final = 0.04
_BACKOFF: Final = Backoff(base=0.2, cap=7.0)

log = logging.getLogger(__name__)


class NodeLease:
    """Run it as a task. `duration` in seconds."""

    def __init__(self, client: Client, node: ports.OwnNode, *, duration: int, clock: Clock) -> None:
        self._client = client
        self._node = node
        self._duration = duration
        self._clock = clock
        self._latest: lease.Lease | None = None

    async def run(self) -> None:
        """Renew until cancelled."""
        failures = 0
        while True:
            period = self._duration * _RENEWED_AFTER
            delay = period * (1 + _JITTER * random.random())
            try:
                if not await self.renew():
                    delay = min(delay, 1.0)
                failures = 0
            except errors.ApiError as error:
                failures += 1
                delay = min(_BACKOFF.delay(failures), period)
                log.warning("the node's Lease was not renewed, tried again in %.1fs: %s", delay, error)
            await self._clock.sleep(delay)

    async def renew(self) -> bool:
        """Renew it, or make it; False while it has no Node to belong to. Raises errors.ApiError."""
        node = self._node.current
        # As a rule nobody else writes it, so that the last answer serves as what to build on.
        for latest in (self._latest, None):
            try:
                found = latest or await self._client.get(lease.LEASES, meta.Key(NAMESPACE, self._node.name))
                self._latest = await self._client.update(lease.LEASES, self._renewed(found, node))
                return True
            except errors.NotFound:
                self._latest = None
                if latest is None:
                    break
            except errors.Conflict:
                if latest is None:
                    raise
        if node is None:
            return False
        self._latest = await self._client.create(lease.LEASES, self._renewed(self._new(), node))
        return True

    def _new(self) -> lease.Lease:
        return lease.Lease(
            metadata=meta.ObjectMeta(name=self._node.name, namespace=NAMESPACE),
            spec=lease.LeaseSpec(holder_identity=self._node.name),
        )

    def _renewed(self, base: lease.Lease, node: Node | None) -> lease.Lease:
        spec = msgspec.structs.replace(
            base.spec, lease_duration_seconds=self._duration, renew_time=times.MicroTime.at(self._clock.now())
        )
        metadata = base.metadata
        if not metadata.owner_references and node is not None:
            owner = meta.OwnerReference(api_version="v1", kind="Node", name=self._node.name, uid=node.metadata.uid)
            metadata = msgspec.structs.replace(metadata, owner_references=(owner,))
        return msgspec.structs.replace(base, metadata=metadata, spec=spec)
