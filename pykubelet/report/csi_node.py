"""Makes this node's CSINode, which schedulers and storage controllers look for, and names its drivers there.

Source: K/pkg/volume/csi/nodeinfomanager; the annotation says that in-tree plugins are served by CSI drivers.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final

import msgspec

from nodekit.aio.backoff import Backoff
from nodekit.kube import errors, patch
from nodekit.kube.client import Client
from nodekit.objects import meta
from nodekit.objects.node import NODES, Node
from pykubelet.model.csi import NodeInfo
from pykubelet.model.csi_node import CSI_NODES, CSINode, CSINodeDriver, CSINodeSpec, VolumeNodeResources
from pykubelet.report import ports

MIGRATED: Final = "storage.alpha.kubernetes.io/migrated-plugins"
NODE_ID: Final = "csi.volume.kubernetes.io/nodeid"
_PLUGINS: Final = ("aws-ebs", "azure-disk", "azure-file", "cinder", "gce-pd", "portworx-volume", "vsphere-volume")
_PERIOD: Final = 60.0
_SOON: Final = 1.0
_BACKOFF: Final = Backoff(base=1.0, cap=60.0)

log = logging.getLogger(__name__)


class CSINodeReporter:
    """Run it as a task. The object is made once the Node is there, and anew when it or the Node was."""

    def __init__(self, client: Client, node: ports.OwnNode) -> None:
        self._client = client
        self._node = node
        self._woken = asyncio.Event()
        self.drivers: Callable[[], Mapping[str, NodeInfo]] = dict
        """How each registered driver knows this node, by the driver's name."""
        self.gone: Callable[[], Collection[str]] = tuple
        """Drivers that were here, and are not any more."""

    def wake(self) -> None:
        """A driver came or went."""
        self._woken.set()

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
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._woken.wait()
            self._woken.clear()

    async def ensure(self, node: Node) -> None:
        """Make it, or put its annotation and drivers right. Raises errors.ApiError."""
        await self._label(node)
        try:
            found = await self._client.get(CSI_NODES, meta.Key("", self._node.name))
        except errors.NotFound:
            await self._client.create(CSI_NODES, self._right(_new(node)))
            return
        if found.metadata.owner_references and found.metadata.owner_references[0].uid != node.metadata.uid:
            return  # it goes with the Node it belonged to
        change = patch.merge(found, self._right(found))
        if change is not None:
            await self._client.patch(CSI_NODES, found.key, change)

    def _right(self, found: CSINode) -> CSINode:
        here = {name: _driver(name, info) for name, info in self.drivers().items()}
        # Those registered before we started may yet come back: only those seen to go are taken out.
        others = (driver for driver in found.spec.drivers if driver.name not in here and driver.name not in self.gone())
        return msgspec.structs.replace(_annotated(found), spec=CSINodeSpec(drivers=(*others, *here.values())))

    async def _label(self, node: Node) -> None:
        """Put the drivers' topology and names for this node on the Node, where controllers look for them."""
        drivers = self.drivers()
        if not drivers:
            return
        labels = dict(node.metadata.labels)
        for info in drivers.values():
            labels |= info.topology
        ids = json.loads(node.metadata.annotations.get(NODE_ID, "{}"))
        ids |= {name: info.node_id for name, info in drivers.items()}
        annotations = {**node.metadata.annotations, NODE_ID: json.dumps(ids, sort_keys=True, separators=(",", ":"))}
        wanted = msgspec.structs.replace(node.metadata, labels=labels, annotations=annotations)
        change = patch.merge(node, msgspec.structs.replace(node, metadata=wanted))
        if change is not None:
            await self._client.patch(NODES, node.key, change)


def _driver(name: str, info: NodeInfo) -> CSINodeDriver:
    limit = VolumeNodeResources(count=info.max_volumes) if info.max_volumes else None
    return CSINodeDriver(name=name, node_id=info.node_id, topology_keys=tuple(sorted(info.topology)), allocatable=limit)


def _new(node: Node) -> CSINode:
    owner = meta.OwnerReference(api_version="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid)
    return CSINode(metadata=meta.ObjectMeta(name=node.metadata.name, owner_references=(owner,)))


def _annotated(found: CSINode) -> CSINode:
    plugins = ",".join(f"kubernetes.io/{plugin}" for plugin in _PLUGINS)
    annotations = {**found.metadata.annotations, MIGRATED: plugins}
    return msgspec.structs.replace(found, metadata=msgspec.structs.replace(found.metadata, annotations=annotations))
