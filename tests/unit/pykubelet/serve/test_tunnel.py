"""What a tunnel does when one of its ends goes."""

import asyncio
from typing import Any

import pytest

from pykubelet.serve import tunnel


class Client:
    """A client's connection and its request; it hangs up after `takes` blocks."""

    def __init__(self, takes: int) -> None:
        self.taken: list[bytes] = []
        self._takes = takes
        self.writer = self

    def is_closing(self) -> bool:
        return len(self.taken) >= self._takes

    def write(self, data: bytes) -> None:
        assert not self.is_closing(), "a closed TLS transport cannot be written to"
        self.taken.append(data)

    async def drain(self) -> None:
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("takes", "taken"),
    [
        pytest.param(9, b"abc", id="all that the runtime sends reaches the client"),
        pytest.param(2, b"ab", id="a client that has gone gets no more"),
    ],
)
async def test_to_the_client(takes: int, taken: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "BLOCK", 1)
    reader, client = asyncio.StreamReader(), Client(takes)
    reader.feed_data(b"abc")
    reader.feed_eof()
    connection: Any = client
    await tunnel.outward(connection, reader, connection)
    assert b"".join(client.taken) == taken
