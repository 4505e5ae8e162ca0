"""Size the kernel's connection table and set its timeouts, as the configuration asks."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pyproxy.config.settings import Conntrack

log = logging.getLogger(__name__)

_SYSCTLS: Final = Path("/proc/sys/net/netfilter")
_ROUTE_LOCALNET: Final = Path("/proc/sys/net/ipv4/conf/all/route_localnet")
_HASH_SIZE: Final = Path("/sys/module/nf_conntrack/parameters/hashsize")


def apply(conntrack: Conntrack) -> None:
    """Write what differs. What this process may not write stays: a container's /proc is often read-only."""
    for path, value in _wanted(conntrack, cores=os.cpu_count() or 1):
        try:
            present = int(path.read_text())
            grows = path.name in ("nf_conntrack_max", "hashsize")
            if present < value if grows else present != value:
                path.write_text(str(value))
        except (OSError, ValueError) as error:
            log.warning("%s stays as it is, not %d: %s", path, value, error)


def be_liberal() -> bool:
    """Whether the kernel takes packets for valid that are out of a connection's window."""
    try:
        return (_SYSCTLS / "nf_conntrack_tcp_be_liberal").read_text().strip() != "0"
    except OSError:
        return False


def route_loopback() -> None:
    """Let what is sent from 127.0.0.1 leave the machine, for NodePorts that are called there."""
    try:
        if _ROUTE_LOCALNET.read_text().strip() != "1":
            log.info("%s is set to 1: NodePorts answer on 127.0.0.1", _ROUTE_LOCALNET)
            _ROUTE_LOCALNET.write_text("1")
    except OSError as error:
        log.warning("NodePorts don't answer on 127.0.0.1: %s", error)


def _wanted(conntrack: Conntrack, *, cores: int) -> Iterator[tuple[Path, int]]:
    """The files and their values; a zero in the configuration leaves the kernel's own."""
    if conntrack.max_per_core > 0:
        most = max(conntrack.max_per_core * cores, conntrack.min)
        yield _SYSCTLS / "nf_conntrack_max", most
        yield _HASH_SIZE, most // 4
    for name, seconds in (
        ("nf_conntrack_tcp_timeout_established", conntrack.tcp_established_timeout),
        ("nf_conntrack_tcp_timeout_close_wait", conntrack.tcp_close_wait_timeout),
        ("nf_conntrack_udp_timeout", conntrack.udp_timeout),
        ("nf_conntrack_udp_timeout_stream", conntrack.udp_stream_timeout),
    ):
        if seconds > 0:
            yield _SYSCTLS / name, int(seconds)
    if conntrack.tcp_be_liberal:
        yield _SYSCTLS / "nf_conntrack_tcp_be_liberal", 1
