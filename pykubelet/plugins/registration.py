"""Asks a plugin that put a socket into our folder who it is, and tells it what came of it."""

import dataclasses
from typing import Any

import grpc

from plugin_protos import registration_pb2 as pb
from plugin_protos import registration_pb2_grpc as stubs
from pykubelet.plugins import errors

_TIMEOUT = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Introduction:
    """`kind` is `CSIPlugin`, `DevicePlugin` or `DRAPlugin`; `endpoint` the socket to speak to."""

    kind: str
    name: str
    endpoint: str
    versions: tuple[str, ...]


async def ask(socket: str) -> Introduction:
    """Who listens there. Raises PluginError."""
    async with _channel(socket) as channel:
        found = await _call(channel, "GetInfo", pb.InfoRequest(), socket)
    return Introduction(found.type, found.name, found.endpoint or socket, tuple(found.supported_versions))


async def tell(socket: str, error: str) -> None:
    """Say that it was registered, or (with an error) why not. Raises PluginError."""
    status = pb.RegistrationStatus(plugin_registered=not error, error=error)
    async with _channel(socket) as channel:
        await _call(channel, "NotifyRegistrationStatus", status, socket)


def _channel(socket: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"unix:{socket}", options=[("grpc.enable_http_proxy", 0)])


async def _call(channel: grpc.aio.Channel, name: str, request: Any, socket: str) -> Any:
    stub: Any = stubs.RegistrationStub(channel)
    try:
        return await getattr(stub, name)(request, timeout=_TIMEOUT)
    except grpc.aio.AioRpcError as error:
        raise errors.of(name, socket, error) from error
