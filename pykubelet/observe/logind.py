"""Hears from systemd-logind that the machine is about to shut down, and holds that up for a while.

Source: https://systemd.io/INHIBITOR_LOCKS; K/pkg/kubelet/nodeshutdown/systemd. D-Bus is imported only where it is used.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

_LOGIND: Final = "org.freedesktop.login1"
_MANAGER: Final = "org.freedesktop.login1.Manager"
_PATH: Final = "/org/freedesktop/login1"
_DBUS: Final = "org.freedesktop.DBus"
_SIGNAL: Final = "PrepareForShutdown"
_MATCH: Final = f"type='signal',interface='{_MANAGER}',member='{_SIGNAL}',path='{_PATH}'"
_OVERRIDE: Final = Path("/etc/systemd/logind.conf.d/99-kubelet.conf")
_LOOK: Final = 0.1
_LOOKS: Final = 50
"""How long and how often logind is given time to read its changed configuration."""

log = logging.getLogger(__name__)


class LogindError(Exception):
    """logind cannot be asked, or does not do what it must: says what, and that shutdowns are then not graceful."""


class Logind:
    """`async with Logind() as logind`: one connection to the system bus. All methods raise LogindError.

    Without an address the bus is the system's.
    """

    def __init__(self, address: str | None = None, *, override: Path = _OVERRIDE) -> None:
        self._address = address
        self._override = override
        self._bus: MessageBus | None = None
        self._lock: int | None = None
        self._heard: asyncio.Queue[bool | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus

        try:
            bus = MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM, negotiate_unix_fd=True)
            self._bus = await bus.connect()
        except Exception as error:  # the library has no base class of its own for these
            raise LogindError(f"the system bus cannot be reached: {error}") from error
        self._bus.add_message_handler(self._hear)
        await self._call(_DBUS, "/org/freedesktop/DBus", f"{_DBUS}.AddMatch", _MATCH)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        if self._bus is not None:
            self._bus.disconnect()

    async def allow(self, seconds: float) -> None:
        """Have logind wait that long at least, by a drop-in of its configuration if need be."""
        if await self._longest() >= seconds:
            return
        try:
            self._override.parent.mkdir(parents=True, exist_ok=True)
            self._override.write_text(f"# Written by pykubelet.\n[Login]\nInhibitDelayMaxSec={seconds:.0f}\n")
        except OSError as error:
            raise LogindError(f"{self._override} cannot be written: {error.strerror}") from error
        systemd = "org.freedesktop.systemd1"
        await self._call(
            systemd, "/org/freedesktop/systemd1", f"{systemd}.Manager.KillUnit", "systemd-logind.service", "all", 1
        )
        for _ in range(_LOOKS):
            longest = await self._longest()
            if longest >= seconds:
                return
            await asyncio.sleep(_LOOK)
        raise LogindError(f"logind waits {longest:g}s at most, less than the {seconds:g}s of shutdownGracePeriod")

    async def hold(self) -> None:
        """Hold up the next shutdown until `release`."""
        self.release()
        why = "Pods are given time to end"
        answer = await self._call(_LOGIND, _PATH, f"{_MANAGER}.Inhibit", "shutdown", "pykubelet", why, "delay")
        self._lock = answer.unix_fds[answer.body[0]]

    def release(self) -> None:
        """Let the shutdown go on."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def shutdowns(self) -> AsyncIterator[bool]:
        """True when the machine begins to shut down, False when that was called off; ends with LogindError."""
        if self._bus is not None:
            gone = asyncio.ensure_future(self._bus.wait_for_disconnect())  # type: ignore[no-untyped-call]
            gone.add_done_callback(self._ended)
        while True:
            heard = await self._heard.get()
            if heard is None:
                raise LogindError("the connection to the system bus broke")
            yield heard

    def _ended(self, gone: "asyncio.Future[Any]") -> None:
        if not gone.cancelled():
            gone.exception()  # what broke it makes no difference
        self._heard.put_nowait(None)

    def _hear(self, message: "Message") -> None:
        if message.member == _SIGNAL and message.interface == _MANAGER and message.body:
            self._heard.put_nowait(bool(message.body[0]))

    async def _longest(self) -> float:
        answer = await self._call(_LOGIND, _PATH, f"{_DBUS}.Properties.Get", _MANAGER, "InhibitDelayMaxUSec")
        return float(answer.body[0].value) / 1e6

    async def _call(self, destination: str, path: str, method: str, *body: str | int) -> "Message":
        from dbus_fast import Message, MessageType

        assert self._bus is not None, "used outside of its `async with` block"
        interface, _, member = method.rpartition(".")
        signature = "".join("i" if isinstance(value, int) else "s" for value in body)
        request = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        answer = await self._bus.call(request)
        if answer.message_type is MessageType.ERROR:
            raise LogindError(f"{method}: {answer.body[0] if answer.body else answer.error_name}")
        return answer
