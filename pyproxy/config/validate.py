"""What the values of a KubeProxyConfiguration must fulfil beyond each field's own type and range.

Source: pkg/proxy/apis/config/validation/validation.go of Kubernetes 1.37.
"""

import ipaddress
from collections.abc import Iterator

from nodekit.config import Document, Problem
from pyproxy.config.settings import Settings

# Instead of CIDRs, nodePortAddresses may say these.
KEYWORDS = frozenset(("primary", "localhost", "all"))


def problems(document: Document[Settings]) -> Iterator[Problem]:
    """Every mistake, at the line of its field."""
    yield from _addresses(document)
    yield from _networks(document)
    yield from _periods(document)
    yield from _local(document)
    if document.settings.mode in ("ipvs", "kernelspace"):
        yield document.problem("mode", f"{document.settings.mode!r} is not offered; expected 'nftables' or 'iptables'")


def _addresses(document: Document[Settings]) -> Iterator[Problem]:
    settings = document.settings
    if not _is_address(settings.bind_address):
        yield document.problem("bindAddress", f"expected an IP address, got {settings.bind_address!r}")
    pairs = (
        ("healthzBindAddress", settings.healthz_bind_address),
        ("metricsBindAddress", settings.metrics_bind_address),
    )
    for path, pair in pairs:
        host, _, port = pair.rpartition(":")
        if not _is_address(host.removeprefix("[").removesuffix("]")):
            yield document.problem(path, f"expected an IP address and a port, got {pair!r}")
        elif not port.isdigit() or not 1 <= int(port) <= 65535:
            yield document.problem(path, f"expected a port from 1 to 65535, got {port!r}")


def _networks(document: Document[Settings]) -> Iterator[Problem]:
    settings = document.settings
    entries = settings.node_port_addresses
    for number, entry in enumerate(entries):
        path = f"nodePortAddresses[{number}]"
        if entry in KEYWORDS:
            if entry in entries[:number]:
                yield document.problem(path, f"{entry!r} stands twice")
        elif not _is_network(entry):
            yield document.problem(path, f"expected a CIDR or one of {', '.join(sorted(KEYWORDS))}, got {entry!r}")
    for number, entry in enumerate(settings.ipvs.exclude_cidrs):
        if not _is_network(entry):
            yield document.problem(f"ipvs.excludeCIDRs[{number}]", f"expected a CIDR, got {entry!r}")
    if settings.cluster_cidr:
        cidrs = settings.cluster_cidr.split(",")
        if len(cidrs) > 2 or not all(_is_network(cidr) for cidr in cidrs):
            yield document.problem(
                "clusterCIDR", f"expected one CIDR, or two with a comma, got {settings.cluster_cidr!r}"
            )


def _periods(document: Document[Settings]) -> Iterator[Problem]:
    settings = document.settings
    modes = (("iptables", settings.iptables), ("ipvs", settings.ipvs), ("nftables", settings.nftables))
    for name, mode in modes:
        if mode.min_sync_period > mode.sync_period:
            yield document.problem(f"{name}.minSyncPeriod", "must not be longer than syncPeriod")


def _local(document: Document[Settings]) -> Iterator[Problem]:
    settings = document.settings
    local = settings.detect_local
    match settings.detect_local_mode:
        case "BridgeInterface" if not local.bridge_interface:
            yield document.problem("detectLocal.bridgeInterface", "is needed by detectLocalMode BridgeInterface")
        case "InterfaceNamePrefix" if not local.interface_name_prefix:
            yield document.problem(
                "detectLocal.interfaceNamePrefix", "is needed by detectLocalMode InterfaceNamePrefix"
            )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_network(text: str) -> bool:
    if "/" not in text:
        return False
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
