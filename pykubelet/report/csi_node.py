"""Makes this node's CSINode, which schedulers and storage controllers look for.

Source: K/pkg/volume/csi/nodeinfomanager; the annotation says that in-tree plugins are served by CSI drivers.
"""

import logging
from typing import Final

import msgspec

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import Clock
from nodekit.kube import errors, patch
from nodekit.kube.client import Client
from nodekit.objects import meta
from nodekit.objects.node import Node
from pykubelet.model.csi_node import CSI_NODES, CSINode
from pykubelet.report import ports

MIGRATED: Final = "storage.alpha.kubernetes.io/migrated-plugins"
_PLUGINS: Final = ("aws-ebs", "azure-disk", "azure-file", "cinder", "gce-pd", "portworx-volume", "vsphere-volume")
_PERIOD: Final = 60.0
_SOON: Final = 1.0
_BACKOFF: Final = Backoff(base=1.0, cap=60.0)

log = logging.getLogger(__name__)


class CSINodeReporter:
    """Run it as a task. The object is made once the Node is there, and anew when it or the Node was."""

    def __init__(self, client: Client, node: ports.OwnNode, *, clock: Clock) -> None:
        self._client = client
        self._node = node
        self._clock = clock

    async def run(self) -> None:
        """Look until cancelled."""
        failures = 0
        while True:
            node = self._node.current
            delay = _SOON
            if node is not None:
                try:
                    await self.ensure(node)
                    failures, delay = 0, _PERIOD
                except errors.ApiError as error:
                    failures += 1
                    delay = _BACKOFF.delay(failures)
                    log.warning("the CSINode was not made, tried again in %.1fs: %s", delay, error)
            await self._clock.sleep(delay)

    async def ensure(self, node: Node) -> None:
        """Make it, or put its annotation right. Raises errors.ApiError."""
        try:
            found = await self._client.get(CSI_NODES, meta.Key("", self._node.name))
        except errors.NotFound:
            await self._client.create(CSI_NODES, _annotated(_new(node)))
            return
        if found.metadata.owner_references and found.metadata.owner_references[0].uid != node.metadata.uid:
            return  # it goes with the Node it belonged to
        change = patch.merge(found, _annotated(found))
        if change is not None:
            await self._client.patch(CSI_NODES, found.key, change)


def _new(node: Node) -> CSINode:
    owner = meta.OwnerReference(api_version="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid)
    return CSINode(metadata=meta.ObjectMeta(name=node.metadata.name, owner_references=(owner,)))


def _annotated(found: CSINode) -> CSINode:
    plugins = ",".join(f"kubernetes.io/{plugin}" for plugin in _PLUGINS)
    annotations = {**found.metadata.annotations, MIGRATED: plugins}
    return msgspec.structs.replace(found, metadata=msgspec.structs.replace(found.metadata, annotations=annotations))
