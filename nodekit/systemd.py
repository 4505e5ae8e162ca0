"""Tells systemd that the agent is ready, stops, or is alive. Source: sd_notify(3). Without systemd nothing happens."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)


class Notifier:
    """Speaks to the socket that the environment names; made once, before the environment is handed to children."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        # A watchdog is meant for the process it names, or for any when it names none.
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = 0
        with contextlib.suppress(ValueError):
            microseconds = int(environment.get("WATCHDOG_USEC", "0"))
        self.watchdog_seconds: float = microseconds / 1e6 if mine else 0.0

    def ready(self, status: str = "") -> None:
        """The agent does its work from now on."""
        self._send("READY=1", status)

    def stopping(self) -> None:
        """The agent is about to end."""
        self._send("STOPPING=1", "")

    async def keep_alive(self, healthy: Callable[[], bool]) -> None:
        """Ping the watchdog at half its time while `healthy()`; ends at once when there is no watchdog."""
        while self.watchdog_seconds:
            if healthy():
                self._send("WATCHDOG=1", "")
            else:
                log.error("not healthy: the watchdog is not told that we live, and systemd will restart the agent")
            await asyncio.sleep(self.watchdog_seconds / 2)

    def _send(self, state: str, status: str) -> None:
        if not self._address:
            return
        lines = [line for line in (state, f"STATUS={status}" if status else "") if line]
        # "@" stands for the zero byte of an abstract address.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as made:
                made.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("systemd could not be told %s: %s", lines, error)
