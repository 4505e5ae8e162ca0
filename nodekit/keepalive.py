"""Has the kernel ask a silent peer whether it is there."""

import socket


def probe(one: socket.socket, *, idle: int, every: int, times: int) -> None:
    """After `idle` seconds of silence, and then `every` so many; a peer that does not answer `times` is gone."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, every)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, times)
