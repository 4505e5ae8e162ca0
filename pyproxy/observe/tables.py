"""Notices when somebody else changes our tables: `nft flush ruleset`, an edit by hand, another proxy."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Final

from nodekit.aio.backoff import Backoff
from pyproxy.model import ruleset as rs
from pyproxy.netlink import wire

log = logging.getLogger(__name__)

_GROUP: Final = 7  # NFNLGRP_NFTABLES
_SOL_NETLINK, _ADD_MEMBERSHIP, _DROP_MEMBERSHIP = 270, 1, 2
_SO_RCVBUFFORCE: Final = 33
_BUFFER: Final = 4 << 20
_OURS: Final = rs.TABLE.encode() + b"\0"
_SETTLE: Final = 0.02
_AGAIN: Final = Backoff(base=1.0, cap=30.0)


class Tables:
    """Tells when a process other than netlink port `own_port` has changed a table of our name.

    It listens from the start: what happens between our first write and `run` is heard then.
    """

    def __init__(self, own_port: int) -> None:
        self._own_port = own_port
        self._touched: list[Callable[[], None]] = []
        self._missed = 0  # how many times in a row
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, wire.NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._widen()
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)
        self._socket.setblocking(False)

    def subscribe(self, touched: Callable[[], None]) -> None:
        """Be told of each such change."""
        self._touched.append(touched)

    @contextlib.contextmanager
    def deaf(self) -> Iterator[None]:
        """Hear nothing while the block runs: a large change of our own would be a notice for each of its elements."""
        self._socket.setsockopt(_SOL_NETLINK, _DROP_MEMBERSHIP, _GROUP)
        try:
            yield
        finally:
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)

    def listens_again(self, *, missed: bool, gone: bool) -> None:
        """After `deaf`: whether somebody may have changed a table meanwhile, ours or another.

        If so, ours counts as changed: at once if it is `gone` and the first time, ever later where somebody changes
        others all the time.
        """
        self._missed = self._missed + 1 if missed else 0
        if missed:
            delay = _AGAIN.delay(self._missed - 1) if self._missed > 1 and not gone else 0.0
            log.info("somebody changed a table while %s was written: that is done again in %.0f s", rs.TABLE, delay)
            asyncio.get_running_loop().call_later(delay, self._tell)

    async def run(self) -> None:
        """Listen until cancelled. What was missed counts as a change."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                foreign = self._foreign(await loop.sock_recv(self._socket, 1 << 18))
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                # With a buffer that somebody made too small each change of our own would be missed as well.
                self._widen()
                foreign = True
            if foreign:
                await asyncio.sleep(_SETTLE)
                while self._drain():
                    pass
                log.warning("somebody else has changed table %s: it is written anew", rs.TABLE)
                self._tell()

    def _tell(self) -> None:
        for touched in self._touched:
            touched()

    def _widen(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)

    def _drain(self) -> bool:
        try:
            return bool(self._socket.recv(1 << 18))
        except BlockingIOError:
            return False
        except OSError as error:
            return error.errno == errno.ENOBUFS

    def _foreign(self, data: bytes) -> bool:
        return any(
            told.port != self._own_port and wire.attributes(told.payload[4:]).get(1) == _OURS
            for told in wire.messages(data)
        )
