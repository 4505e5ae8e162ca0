"""The machine's own addresses, and a word whenever they change: NodePorts may answer on any of them."""

import asyncio
import errno
import logging
import socket
import struct
from collections.abc import Callable
from typing import Final

from pyproxy.model.address import Address

log = logging.getLogger(__name__)

_GETADDR: Final = 22
_REQUEST_DUMP: Final = 0x301
_DONE: Final = 3
_GROUPS: Final = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_ADDRESS, _LOCAL = 1, 2


def now() -> frozenset[Address]:
    """Every address the machine has."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as one:
        one.settimeout(5)
        one.bind((0, 0))
        one.send(struct.pack("=IHHIIBBBBI", 24, _GETADDR, _REQUEST_DUMP, 1, 0, 0, 0, 0, 0, 0))
        found: set[Address] = set()
        while True:
            data = one.recv(1 << 18)
            offset = 0
            while offset + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, offset)
                if kind == _DONE or length < 16:
                    return frozenset(found)
                address = _address(data[offset + 24 : offset + length])
                if address is not None:
                    found.add(address)
                offset += (length + 3) & ~3


def _address(attributes: bytes) -> Address | None:
    """The local end of a point-to-point link, where it differs from the address."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, offset)
        if length < 4:
            break
        found[kind] = attributes[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    packed = found.get(_LOCAL, found.get(_ADDRESS))
    return Address(packed) if packed is not None and len(packed) in (4, 16) else None


class Addresses:
    """Keeps `current` up to date while `run` runs, and tells its subscribers each time it differs."""

    def __init__(self) -> None:
        self.current = now()
        self._changed: list[Callable[[], None]] = []

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Be told of every change."""
        self._changed.append(changed)

    async def run(self) -> None:
        """Listen until cancelled."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as one:
            one.bind((0, _GROUPS))
            one.setblocking(False)
            self._look()  # what has changed while nobody listened
            while True:
                try:
                    await loop.sock_recv(one, 1 << 16)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                await asyncio.sleep(0.01)  # addresses come and go in groups
                self._look()

    def _look(self) -> None:
        found = now()
        if found != self.current:
            log.info("the machine's addresses have changed: it has %d", len(found))
            self.current = found
            for changed in self._changed:
                changed()
