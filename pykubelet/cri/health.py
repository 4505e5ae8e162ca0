"""Asks a gRPC server how it is, by the standard health protocol. Here because gRPC is this package's matter.

Source: grpc.health.v1; its two messages are one field each, so they are read and written by hand.
"""

from typing import Final

import grpc

SERVING: Final = "SERVING"
_STATES: Final = {0: "UNKNOWN", 1: SERVING, 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_METHOD: Final = "/grpc.health.v1.Health/Check"


class NotServed(Exception):
    """No answer: nobody listens, it took too long, or it does not know the protocol."""


async def check(address: str, service: str, *, timeout: float) -> str:
    """The state of `service` (empty: of the whole server) at `host:port`. Raises NotServed."""
    options = [("grpc.enable_http_proxy", 0), ("grpc.primary_user_agent", "kube-probe/1.37")]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        call = channel.unary_unary(_METHOD, request_serializer=_request, response_deserializer=_state)
        try:
            return str(await call(service, timeout=timeout))
        except grpc.aio.AioRpcError as error:
            match error.code():
                case grpc.StatusCode.UNIMPLEMENTED:
                    why = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
                case grpc.StatusCode.DEADLINE_EXCEEDED:
                    why = f"health rpc did not complete within {timeout:g}s"
                case code:
                    why = f"health rpc probe failed: {code.name}: {error.details()}"
            raise NotServed(f"{address}: {why}") from error


def _request(service: str) -> bytes:
    """HealthCheckRequest{service = 1}."""
    name = service.encode()
    return b"\x0a" + _varint(len(name)) + name if name else b""


def _state(answer: bytes) -> str:
    """HealthCheckResponse{status = 1}: an enum, left out when 0."""
    value = answer[1] if len(answer) >= 2 and answer[0] == 0x08 else 0
    return _STATES.get(value, str(value))


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])
