"""The node service of one storage driver, called in plain values. Every method raises PluginError."""

import time
from typing import Any, TypeVar

import grpc

from plugin_protos import csi_pb2 as pb
from plugin_protos import csi_pb2_grpc as stubs
from pykubelet import meters
from pykubelet.model.csi import Access, Capability, Handle, NodeInfo, Usage
from pykubelet.plugins import errors

TIMEOUT = 120.0
"""Seconds for one call; csiTimeout in the genuine kubelet."""
A = TypeVar("A")
_Mode = pb.VolumeCapability.AccessMode.Mode
_Known = pb.NodeServiceCapability.RPC.Type


class Driver:
    """`name` is the driver's own; `socket` the path it listens on. To be closed."""

    def __init__(self, name: str, socket: str) -> None:
        self.name = name
        self.socket = socket
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=[("grpc.enable_http_proxy", 0)])
        self._node: Any = stubs.NodeStub(self._channel)
        self._capabilities: frozenset[Capability] | None = None

    async def close(self) -> None:
        """End the connection."""
        await self._channel.close(None)

    async def info(self) -> NodeInfo:
        """How the driver knows this node."""
        found = await self._call("NodeGetInfo", pb.NodeGetInfoRequest())
        return NodeInfo(found.node_id, found.max_volumes_per_node, dict(found.accessible_topology.segments))

    async def capabilities(self) -> frozenset[Capability]:
        """What it can do; asked once."""
        if self._capabilities is None:
            answer = await self._call("NodeGetCapabilities", pb.NodeGetCapabilitiesRequest())
            names = {_Known.Name(one.rpc.type) for one in answer.capabilities if one.rpc.type in _Known.values()}
            self._capabilities = frozenset(one for one in Capability if one.value in names)
        return self._capabilities

    async def stage(self, volume: Handle, path: str) -> None:
        """Have the volume at a path of its own, from which Pods get it."""
        request = pb.NodeStageVolumeRequest(
            volume_id=volume.id,
            publish_context=volume.publish_context,
            staging_target_path=path,
            volume_capability=_capability(volume.access),
            secrets=volume.secrets,
            volume_context=volume.context,
        )
        await self._call("NodeStageVolume", request)

    async def unstage(self, volume_id: str, path: str) -> None:
        """Undo `stage`."""
        request = pb.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=path)
        await self._call("NodeUnstageVolume", request)

    async def publish(self, volume: Handle, path: str, *, staged: str = "") -> None:
        """Have the volume at a Pod's path; `staged` is where it was staged, if it was."""
        request = pb.NodePublishVolumeRequest(
            volume_id=volume.id,
            publish_context=volume.publish_context,
            staging_target_path=staged,
            target_path=path,
            volume_capability=_capability(volume.access),
            readonly=volume.read_only,
            secrets=volume.secrets,
            volume_context=volume.context,
        )
        await self._call("NodePublishVolume", request)

    async def unpublish(self, volume_id: str, path: str) -> None:
        """Undo `publish`."""
        await self._call("NodeUnpublishVolume", pb.NodeUnpublishVolumeRequest(volume_id=volume_id, target_path=path))

    async def expand(self, volume: Handle, path: str, *, staged: str, size: int) -> int:
        """Have the file system fill a volume that has grown to `size` bytes; its size then."""
        request = pb.NodeExpandVolumeRequest(
            volume_id=volume.id,
            volume_path=path,
            capacity_range=pb.CapacityRange(required_bytes=size),
            staging_target_path=staged,
            volume_capability=_capability(volume.access),
            secrets=volume.secrets,
        )
        answer = await self._call("NodeExpandVolume", request)
        return int(answer.capacity_bytes) or size

    async def usage(self, volume_id: str, path: str) -> tuple[Usage, ...]:
        """How full a published volume is."""
        request = pb.NodeGetVolumeStatsRequest(volume_id=volume_id, volume_path=path)
        answer = await self._call("NodeGetVolumeStats", request)
        return tuple(
            Usage(pb.VolumeUsage.Unit.Name(one.unit), one.used, one.total, one.available) for one in answer.usage
        )

    async def _call(self, name: str, request: Any) -> Any:
        began, code = time.monotonic(), "Canceled"
        try:
            answer = await getattr(self._node, name)(request, timeout=TIMEOUT, wait_for_ready=False)
            code = "OK"
            return answer
        except grpc.aio.AioRpcError as error:
            code = errors.word(error.code())
            raise errors.of(name, self.name, error) from error
        finally:
            labels = (self.name, f"/csi.v1.Node/{name}", code, "false")
            meters.csi_operation.labels(*labels).observe(time.monotonic() - began)


def _capability(access: Access) -> pb.VolumeCapability:
    mode = pb.VolumeCapability.AccessMode(mode=_Mode.Value(access.mode))
    if access.block:
        return pb.VolumeCapability(block=pb.VolumeCapability.BlockVolume(), access_mode=mode)
    mount = pb.VolumeCapability.MountVolume(
        fs_type=access.fs_type,
        mount_flags=access.mount_flags,
        volume_mount_group="" if access.group is None else str(access.group),
    )
    return pb.VolumeCapability(mount=mount, access_mode=mode)
