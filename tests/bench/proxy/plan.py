"""Which addresses the bench uses, and the objects it makes. No I/O."""

import ipaddress
from dataclasses import dataclass
from typing import Any, Final

_FIRST_OF_MANY: Final = 4096


@dataclass(frozen=True, slots=True)
class Plan:
    """The addresses of one IP family: ClusterIPs of `services`, endpoints of `pods`; where the lab's own sit.

    ClusterIPs below the 4,096th are the bench's to come and go, each used once; the many that fill the cluster follow.
    """

    family: str
    services: str
    pods: str
    node: str
    gateway: str
    backends: dict[str, str]
    client: str

    def cluster_ip(self, number: int) -> str:
        """One of those that come and go."""
        assert 1 < number < _FIRST_OF_MANY
        return self._address(self.services, number)

    def bulk_ip(self, number: int) -> str:
        """The ClusterIP of one of the many."""
        return self._address(self.services, _FIRST_OF_MANY + number)

    def endpoints(self, number: int, count: int) -> list[str]:
        """The endpoints of one of the many, which are nobody else's, and nobody's at all in truth."""
        return [self._address(self.pods, 1024 + number * count + one) for one in range(count)]

    @property
    def prefix(self) -> int:
        """The length of a single address's prefix."""
        return ipaddress.ip_network(self.services).max_prefixlen

    def _address(self, block: str, number: int) -> str:
        return str(ipaddress.ip_network(block)[number])


IPV4: Final = Plan(
    family="IPv4",
    services="198.18.64.0/18",
    pods="198.19.0.0/16",
    node="198.18.0.11",
    gateway="169.254.1.1",
    backends={"bench-b1": "198.19.1.11", "bench-b2": "198.19.1.12"},
    client="198.19.1.50",
)
# The block of IPv4 addresses that tests may use has no room for 100,000 Services.
IPV6: Final = Plan(
    family="IPv6",
    services="fd00:18::/108",
    pods="fd00:19::/96",
    node="fd00:18:1::11",
    gateway="fe80::1",
    backends={"bench-b1": "fd00:19::11", "bench-b2": "fd00:19::12"},
    client="fd00:19::50",
)


def of_size(size: int) -> Plan:
    """The family that has room for that many Services."""
    return IPV4 if size <= 10_000 else IPV6


def service(name: str, address: str) -> dict[str, Any]:
    """A Service on port 80."""
    family = "IPv6" if ":" in address else "IPv4"
    ports = [{"name": "p", "port": 80, "targetPort": 8080}]
    return {
        "metadata": {"name": name},
        "spec": {"clusterIP": address, "ipFamilies": [family], "ipFamilyPolicy": "SingleStack", "ports": ports},
    }


def endpoint_slice(name: str, addresses: list[str]) -> dict[str, Any]:
    """The endpoints of the Service of that name."""
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv6" if ":" in addresses[0] else "IPv4",
        "endpoints": endpoints(addresses),
        "ports": [{"name": "p", "port": 8080, "protocol": "TCP"}],
    }


def endpoints(addresses: list[str], *, nodes: int = 1) -> list[dict[str, Any]]:
    """Ready ones, spread over that many nodes, of which the bench's is the first."""
    return [
        {
            "addresses": [one],
            "conditions": {"ready": True},
            "nodeName": f"n{1 + int(ipaddress.ip_address(one)) % nodes}",
        }
        for one in addresses
    ]
