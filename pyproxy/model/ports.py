"""A port of a Service and the endpoints behind it, for one IP family, checked and packed. No I/O."""

import enum
from dataclasses import dataclass
from typing import NamedTuple

from nodekit.objects.meta import Key
from pyproxy.model.address import Address, Prefix


class Protocol(enum.IntEnum):
    """The transport protocols Services have; the value is the IP protocol number."""

    TCP = 6
    UDP = 17
    SCTP = 132


class PortName(NamedTuple):
    """What joins a Service's port with its endpoints."""

    service: Key
    port: str
    protocol: Protocol

    def __str__(self) -> str:
        return f"{self.service}:{self.port}" if self.port else str(self.service)


class Balance(enum.Enum):
    """How new connections find an endpoint: the values of the Service annotation `pyproxy/balance`."""

    RANDOM = "random"
    MAGLEV = "maglev"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service in one family. `affinity_seconds` 0 means no session affinity.

    An endpoint on a node of `node_weights` gets that many shares of the connections, any other one. With
    `reset_connections` TCP connections to an endpoint that is gone are broken off, where they would hang otherwise.
    """

    name: PortName
    cluster_ip: Address
    port: int
    node_port: int = 0
    external_ips: tuple[Address, ...] = ()
    vips: tuple[Address, ...] = ()
    source_ranges: tuple[Prefix, ...] = ()
    affinity_seconds: int = 0
    internal_local: bool = False
    external_local: bool = False
    health_check_node_port: int = 0
    balance: Balance = Balance.RANDOM
    node_weights: tuple[tuple[str, int], ...] = ()
    reset_connections: bool = False

    @property
    def externally_accessible(self) -> bool:
        """Whether anything but the ClusterIP leads here."""
        return bool(self.node_port or self.external_ips or self.vips)

    @property
    def uses_cluster_endpoints(self) -> bool:
        """External traffic with policy Local needs them too: local clients bypass the policy."""
        return not self.internal_local or self.externally_accessible

    @property
    def uses_local_endpoints(self) -> bool:
        """Whether a traffic policy of Local applies to any address."""
        return self.internal_local or (self.external_local and self.externally_accessible)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One backend of a ServicePort. Hints are empty when the slice gives none."""

    address: Address
    port: int
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    local: bool = False
    node: str = ""
    zones: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()

    @property
    def fallback(self) -> bool:
        """Usable when nothing is ready: still serving while it terminates."""
        return self.serving and self.terminating
