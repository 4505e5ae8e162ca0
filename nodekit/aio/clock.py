"""What time it is, and waiting: the one thing loops ask instead of reading the machine's clock themselves."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol


class Clock(Protocol):
    """Time as the loops see it."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back, comparable only with itself."""
        ...

    def now(self) -> datetime:
        """The time of day, UTC, with microseconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """`time.monotonic()`."""
        return time.monotonic()

    def now(self) -> datetime:
        """The machine's time of day."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """`asyncio.sleep`."""
        await asyncio.sleep(seconds)


_EPOCH: Final = datetime(2026, 11, 24, 10, 15, tzinfo=UTC)


class VirtualClock:
    """The time of the running event loop, which `virtual.run` moves without waiting; for tests."""

    def monotonic(self) -> float:
        """Seconds since the loop began."""
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        """The epoch plus what the loop has lived."""
        return _EPOCH + timedelta(seconds=self.monotonic())

    async def sleep(self, seconds: float) -> None:
        """Wait in the loop's time: no real time passes."""
        await asyncio.sleep(seconds)
