"""Device plugins over gRPC: the socket they register at, and one plugin called in plain values."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from plugin_protos import deviceplugin_pb2 as pb
from plugin_protos import deviceplugin_pb2_grpc as stubs
from pykubelet.model import runtime_config as cri
from pykubelet.model.devices import Device, DeviceGrant, PluginOptions
from pykubelet.plugins import errors

VERSION = "v1beta1"
HEALTHY = "Healthy"
_OPTIONS_TIMEOUT = 10.0
_ALLOCATE_TIMEOUT = 120.0
"""Seconds; the genuine kubelet waits for ever, and with it every other Pod that asks for devices."""
_PRE_START_TIMEOUT = 30.0
"""Source: KubeletPreStartContainerRPCTimeoutInSecs."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a plugin says when it registers; `socket` is the name of its own in the folder of ours."""

    version: str
    resource: str
    socket: str


class Refused(Exception):
    """A plugin is not registered; the text is what it is told."""


class DevicePlugin:
    """One plugin, which serves one resource at `socket`. Every call raises PluginError. To be closed."""

    def __init__(self, resource: str, socket: str) -> None:
        self.resource, self.socket = resource, socket
        self.options = PluginOptions()
        self._channel = grpc.aio.insecure_channel(
            f"unix:{socket}", options=[("grpc.enable_http_proxy", 0), ("grpc.default_authority", "localhost")]
        )
        self._stub: Any = stubs.DevicePluginStub(self._channel)

    async def close(self) -> None:
        """End the connection."""
        await self._channel.close(None)

    async def ask_options(self) -> None:
        """Read `options`; the plugin answers once it serves."""
        found = await self._call("GetDevicePluginOptions", pb.Empty(), _OPTIONS_TIMEOUT)
        self.options = PluginOptions(found.pre_start_required, found.get_preferred_allocation_available)

    async def devices(self) -> AsyncIterator[dict[str, Device]]:
        """All of its devices by id, now and whenever they change, for as long as the plugin lives."""
        try:
            async for found in self._stub.ListAndWatch(pb.Empty()):
                yield {
                    one.ID: Device(one.ID, one.health == HEALTHY, tuple(node.ID for node in one.topology.nodes))
                    for one in found.devices
                }
        except grpc.aio.AioRpcError as error:
            raise errors.of("ListAndWatch", self.resource, error) from error

    async def preferred(self, available: Collection[str], *, included: Collection[str], size: int) -> tuple[str, ...]:
        """Which of the available devices it would rather give out together; `size` of them, some `included` anyway."""
        one = pb.ContainerPreferredAllocationRequest(
            available_deviceIDs=sorted(available), must_include_deviceIDs=sorted(included), allocation_size=size
        )
        request = pb.PreferredAllocationRequest(container_requests=[one])
        found = await self._call("GetPreferredAllocation", request, _ALLOCATE_TIMEOUT)
        return tuple(found.container_responses[0].deviceIDs) if found.container_responses else ()

    async def allocate(self, ids: Collection[str]) -> bytes:
        """Give the devices to a container; what it gets with them, as it came (`grant_of` reads it)."""
        request = pb.AllocateRequest(container_requests=[pb.ContainerAllocateRequest(devices_ids=ids)])
        found = await self._call("Allocate", request, _ALLOCATE_TIMEOUT)
        if not found.container_responses:
            raise errors.PluginError(
                "Allocate", plugin=self.resource, detail="no containers return in allocation response", final=True
            )
        return bytes(found.container_responses[0].SerializeToString(deterministic=True))

    async def pre_start(self, ids: Collection[str]) -> None:
        """A container that has these devices is about to start."""
        await self._call("PreStartContainer", pb.PreStartContainerRequest(devices_ids=ids), _PRE_START_TIMEOUT)

    async def _call(self, name: str, request: Any, timeout: float) -> Any:
        try:
            return await getattr(self._stub, name)(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise errors.of(name, self.resource, error) from error


def grant_of(answer: bytes) -> DeviceGrant:
    """What a plugin's ContainerAllocateResponse gives a container. ValueError if it is none."""
    try:
        found = pb.ContainerAllocateResponse.FromString(answer)
    except DecodeError as error:
        raise ValueError(f"not a ContainerAllocateResponse: {error}") from error
    return DeviceGrant(
        envs=tuple(sorted(found.envs.items())),
        mounts=tuple(
            cri.Mount(container_path=one.container_path, host_path=one.host_path, readonly=one.read_only)
            for one in found.mounts
        ),
        devices=tuple(cri.Device(one.container_path, one.host_path, one.permissions) for one in found.devices),
        annotations=dict(found.annotations),
        cdi_devices=tuple(one.name for one in found.cdi_devices),
    )


@contextlib.asynccontextmanager
async def registry(socket: Path, register: Callable[[Registration], Awaitable[None]]) -> AsyncIterator[None]:
    """Listen for plugins at `socket` while within. `register` raises Refused, or PluginError."""
    server = grpc.aio.server()
    stubs.add_RegistrationServicer_to_server(_Registry(register), server)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield
    finally:
        await asyncio.shield(server.stop(0))


class _Registry(stubs.RegistrationServicer):
    def __init__(self, register: Callable[[Registration], Awaitable[None]]) -> None:
        self._register = register

    async def Register(self, request: Any, context: Any) -> Any:  # noqa: N802
        try:
            await self._register(Registration(request.version, request.resource_name, request.endpoint))
        except (Refused, errors.PluginError) as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return pb.Empty()
