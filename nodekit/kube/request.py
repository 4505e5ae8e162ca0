"""What is asked of an API server, and what something that can be asked looks like."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `says` is how errors name it ("get nodes/n1")."""

    method: str
    path: str
    says: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"


class Meter(Protocol):
    """Who counts requests; `host` is the server's, with its port."""

    def answered(self, method: str, host: str, *, code: int | None) -> None:
        """A server answered with this status, or not at all (None)."""
        ...

    def asked(self, method: str, host: str, *, seconds: float, sent: int, received: int | None) -> None:
        """A request that was not for a stream has ended: how long it took, the bytes both ways (None: no answer)."""
        ...


class Server(Protocol):
    """An API server: Transport over the network, FakeApi in memory. Both raise errors.ApiError."""

    @property
    def server(self) -> str:
        """The server's name in errors: its URL."""
        ...

    async def reached(self) -> None:
        """Wait until the server answers after it was unreachable, whoever asked it."""
        ...

    async def ask(self, request: Request, *, timeout: float) -> bytes:
        """The answer's body; Unreachable when none came within `timeout` seconds."""
        ...

    def stream(
        self, request: Request, *, timeout: float
    ) -> contextlib.AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The answer's body as it comes, in chunks that end anywhere; Unreachable if it does not begin in time."""
        ...
