"""IP families, packed addresses and prefixes. No I/O.

Addresses live as packed bytes in network order (4 or 16 of them): that is what the kernel's keys are made of, and the
length tells the family.
"""

import enum
import ipaddress
from dataclasses import dataclass
from typing import NewType

Address = NewType("Address", bytes)


class Family(enum.Enum):
    """The two IP families; the value is the length of an address in bytes."""

    IPV4 = 4
    IPV6 = 16

    __hash__ = object.__hash__  # Enum's own is slow, and members are singletons

    @property
    def api_name(self) -> str:
        """The name the API and the metrics use: IPv4 or IPv6."""
        return "IPv4" if self is Family.IPV4 else "IPv6"

    @property
    def everywhere(self) -> str:
        """The address that means all addresses of the family to who listens."""
        return "0.0.0.0" if self is Family.IPV4 else "::"

    @property
    def word(self) -> str:
        """What nft calls the family: ip or ip6."""
        return "ip" if self is Family.IPV4 else "ip6"


@dataclass(frozen=True, slots=True)
class Prefix:
    """A CIDR block with its host bits zero."""

    address: Address
    length: int

    @property
    def family(self) -> Family:
        """The family the block belongs to."""
        return Family(len(self.address))

    def __str__(self) -> str:
        return f"{text(self.address)}/{self.length}"

    def __contains__(self, address: Address) -> bool:
        if len(address) != len(self.address):
            return False
        shift = len(address) * 8 - self.length
        return int.from_bytes(address, "big") >> shift == int.from_bytes(self.address, "big") >> shift

    @property
    def last(self) -> Address:
        """The highest address of the block."""
        host_bits = (1 << (len(self.address) * 8 - self.length)) - 1
        return Address((int.from_bytes(self.address, "big") | host_bits).to_bytes(len(self.address), "big"))


def parse(address: str) -> Address | None:
    """The packed address, or None for what is not one. Leading zeros in IPv4 are decimal, as the API reads them.

    An IPv4 address mapped into IPv6 is IPv4, as Go's net.ParseIP has it.
    """
    octets = address.split(".")
    if len(octets) == 4 and ":" not in address:
        if not all(octet.isascii() and octet.isdigit() for octet in octets):
            return None
        numbers = [int(octet) for octet in octets]
        return Address(bytes(numbers)) if max(numbers) < 256 else None
    if "%" in address:
        return None
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped
    return Address(mapped.packed if mapped is not None else parsed.packed)


def parse_prefix(cidr: str) -> Prefix | None:
    """The block of a CIDR with or without host bits, spaces around it allowed; None for what is not one."""
    head, slash, tail = cidr.strip().partition("/")
    address = parse(head)
    if address is None or not slash or not (tail.isascii() and tail.isdigit()):
        return None
    width, length = len(address) * 8, int(tail)
    if length > width:
        return None
    shift = width - length
    return Prefix(Address((int.from_bytes(address, "big") >> shift << shift).to_bytes(len(address), "big")), length)


def text(address: bytes) -> str:
    """The address as people write it."""
    if len(address) == 4:
        return ".".join(map(str, address))
    return str(ipaddress.IPv6Address(bytes(address)))


def with_port(address: bytes, port: int) -> str:
    """`10.0.0.1:80` or `[fd00::1]:80`."""
    return f"{text(address)}:{port}" if len(address) == 4 else f"[{text(address)}]:{port}"
