"""A small CSI driver for tests: volumes are folders, staged and published by bind mounts; it registers itself.

Run it: `python tests/contract/csi_driver.py NAME KUBELET_ROOT STATE`. Every call is appended to STATE/calls.jsonl;
a file STATE/fail-CALL makes that call fail with its text.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import grpc

from plugin_protos import csi_pb2 as csi
from plugin_protos import csi_pb2_grpc, registration_pb2_grpc
from plugin_protos import registration_pb2 as registration

_BIND = 0x1000
_libc = ctypes.CDLL(None, use_errno=True)
_Rpc = csi.NodeServiceCapability.RPC


def _bind(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    _mount(source, target)


def _mount(source: Path, target: Path) -> None:
    if _libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(_BIND), None):
        raise OSError(ctypes.get_errno(), f"mount {source} {target}")


def _unbind(target: Path) -> None:
    _libc.umount2(os.fsencode(target), 2)


class Node(csi_pb2_grpc.NodeServicer):
    """Stages and publishes; `state/volumes/<id>` is a tmpfs that holds what was written."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._volumes = state / "volumes"
        self._volumes.mkdir(parents=True, exist_ok=True)

    async def _note(self, name: str, context: Any, **what: Any) -> None:
        with open(self._state / "calls.jsonl", "a") as file:  # noqa: ASYNC230
            file.write(json.dumps({"call": name, **what}) + "\n")
        fails = self._state / f"fail-{name}"
        if fails.exists():
            await context.abort(grpc.StatusCode.INTERNAL, fails.read_text())

    def _volume(self, volume_id: str) -> Path:
        folder = self._volumes / volume_id
        if not folder.exists():
            folder.mkdir()
            _libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(0), b"mode=0750")
        return folder

    async def NodeGetInfo(self, request: Any, context: Any) -> Any:
        await self._note("NodeGetInfo", context)
        topology = csi.Topology(segments={"topology.test.csi/node": "here"})
        return csi.NodeGetInfoResponse(node_id="node-1", max_volumes_per_node=7, accessible_topology=topology)

    async def NodeGetCapabilities(self, request: Any, context: Any) -> Any:
        kinds = (_Rpc.STAGE_UNSTAGE_VOLUME, _Rpc.GET_VOLUME_STATS, _Rpc.EXPAND_VOLUME)
        return csi.NodeGetCapabilitiesResponse(
            capabilities=[csi.NodeServiceCapability(rpc=_Rpc(type=kind)) for kind in kinds]
        )

    async def NodeStageVolume(self, request: Any, context: Any) -> Any:
        mode = request.volume_capability.access_mode.mode
        await self._note("NodeStageVolume", context, id=request.volume_id, mode=mode, secrets=dict(request.secrets))
        if not request.volume_capability.HasField("block"):
            _unbind(Path(request.staging_target_path))
            _bind(self._volume(request.volume_id), Path(request.staging_target_path))
        return csi.NodeStageVolumeResponse()

    async def NodeUnstageVolume(self, request: Any, context: Any) -> Any:
        await self._note("NodeUnstageVolume", context, id=request.volume_id)
        _unbind(Path(request.staging_target_path))
        return csi.NodeUnstageVolumeResponse()

    async def NodePublishVolume(self, request: Any, context: Any) -> Any:
        await self._note(
            "NodePublishVolume",
            context,
            id=request.volume_id,
            context_=dict(request.volume_context),
            readonly=request.readonly,
            staged=bool(request.staging_target_path),
        )
        target = Path(request.target_path)
        if request.volume_capability.HasField("block"):
            target.touch()
            _mount(Path("/dev/zero"), target)
            return csi.NodePublishVolumeResponse()
        source = Path(request.staging_target_path) if request.staging_target_path else self._volume(request.volume_id)
        _bind(source, target)
        return csi.NodePublishVolumeResponse()

    async def NodeUnpublishVolume(self, request: Any, context: Any) -> Any:
        await self._note("NodeUnpublishVolume", context, id=request.volume_id)
        target = Path(request.target_path)
        _unbind(target)
        if target.is_dir():
            target.rmdir()
        else:
            target.unlink(missing_ok=True)
        return csi.NodeUnpublishVolumeResponse()

    async def NodeGetVolumeStats(self, request: Any, context: Any) -> Any:
        usage = csi.VolumeUsage(available=1, total=3, used=2, unit=csi.VolumeUsage.BYTES)
        return csi.NodeGetVolumeStatsResponse(usage=[usage])

    async def NodeExpandVolume(self, request: Any, context: Any) -> Any:
        size = request.capacity_range.required_bytes
        await self._note("NodeExpandVolume", context, id=request.volume_id, size=size)
        return csi.NodeExpandVolumeResponse(capacity_bytes=request.capacity_range.required_bytes)


class Registrar(registration_pb2_grpc.RegistrationServicer):
    """Says who the driver is."""

    def __init__(self, name: str, endpoint: Path, state: Path) -> None:
        self._name, self._endpoint, self._state = name, endpoint, state

    async def GetInfo(self, request: Any, context: Any) -> Any:
        return registration.PluginInfo(
            type="CSIPlugin", name=self._name, endpoint=str(self._endpoint), supported_versions=["1.0.0"]
        )

    async def NotifyRegistrationStatus(self, request: Any, context: Any) -> Any:
        (self._state / "registered").write_text(request.error or "yes")
        return registration.RegistrationStatusResponse()


class Running:
    """The two servers of a driver; `async with`."""

    def __init__(self, name: str, root: Path, state: Path) -> None:
        self.state = state
        self.socket = root / "plugins" / name / "csi.sock"
        self.registration = root / "plugins_registry" / f"{name}-reg.sock"
        self._servers: list[Any] = []
        self._services = (Node(state), Registrar(name, self.socket, state))

    async def __aenter__(self) -> "Running":
        node, registrar = self._services
        for path, add, service in (
            (self.socket, csi_pb2_grpc.add_NodeServicer_to_server, node),
            (self.registration, registration_pb2_grpc.add_RegistrationServicer_to_server, registrar),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            server = grpc.aio.server()
            add(service, server)
            server.add_insecure_port(f"unix:{path}")
            await server.start()
            self._servers.append(server)
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            await server.stop(0)
        self.registration.unlink(missing_ok=True)
        for folder in (self.state / "volumes").iterdir():
            _unbind(folder)

    def calls(self) -> list[dict[str, Any]]:
        """What the driver was asked, in order."""
        path = self.state / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def _serve(name: str, root: str, state: str) -> None:
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    async with Running(name, Path(root), Path(state)):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:4]))
