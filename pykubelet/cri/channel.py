"""The connection to a container runtime: its address, its limits, how calls fail and how fast it comes back."""

import time
from typing import TypeVar
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import Message

from pykubelet.cri import errors, meter

MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes; maxMsgSize in the genuine kubelet's CRI client."""
RECONNECT_MIN_MS = 50
RECONNECT_MAX_MS = 1000
"""A runtime that restarts is used again within a second (gRPC's own default grows to two minutes)."""

Q = TypeVar("Q", bound=Message)
A = TypeVar("A")


def address(endpoint: str) -> str:
    """gRPC's target for `unix:///path`, `/path` or `tcp://host:port`. ValueError for anything else."""
    url = urlsplit(endpoint)
    if url.scheme in ("", "unix") and url.path.startswith("/") and not url.netloc:
        return f"unix:{url.path}"
    if url.scheme == "tcp" and url.hostname and url.port:
        return f"dns:///{url.netloc}"
    raise ValueError(f"container runtime endpoint {endpoint!r}: expected unix:///path/to.sock or tcp://host:port")


def open_channel(endpoint: str) -> grpc.aio.Channel:
    """Make a channel; it connects with the first call and again whenever the runtime comes back."""
    return grpc.aio.insecure_channel(
        address(endpoint),
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
            ("grpc.initial_reconnect_backoff_ms", RECONNECT_MIN_MS),
            ("grpc.min_reconnect_backoff_ms", RECONNECT_MIN_MS),
            ("grpc.max_reconnect_backoff_ms", RECONNECT_MAX_MS),
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.use_local_subchannel_pool", 1),
        ],
    )


async def call(
    method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q, *, timeout: float | None, target: str = ""
) -> A:
    """Make one call within `timeout` seconds (None: however long it takes). Raises errors.CriError."""
    name = request.DESCRIPTOR.name.removesuffix("Request")
    began = time.monotonic()
    failed = True
    try:
        answer = await method(request, timeout=timeout)
        failed = False
        return answer
    except grpc.aio.AioRpcError as error:
        raise errors.of(name, error, target=target) from error
    finally:
        meter.add(name, time.monotonic() - began, failed=failed)
