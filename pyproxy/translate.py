"""From the configuration as users write it to the options the loops run with."""

import socket

from nodekit.config import Document
from pyproxy.config.settings import Settings
from pyproxy.model import address as addresses
from pyproxy.model.address import Address, Family, Prefix
from pyproxy.model.options import DetectLocal, Mode, NodePorts, Options

_SOON = 0.005


def options(settings: Settings, *, document: Document[Settings] | None = None, server: str = "") -> Options:
    """The options. A minimum sync period holds only where the file sets it: changes cost too little to wait longer."""
    mode = Mode.IPTABLES if settings.mode == "iptables" else Mode.NFTABLES
    section = settings.iptables if mode is Mode.IPTABLES else settings.nftables
    explicit = document is not None and document.is_set(f"{mode.value}.minSyncPeriod")
    detect = settings.detect_local
    detection = DetectLocal(settings.detect_local_mode or DetectLocal.CLUSTER_CIDR.value)
    bridge = detection is DetectLocal.BRIDGE_INTERFACE
    return Options(
        node=settings.hostname_override.strip().lower() or socket.gethostname().lower(),
        mode=mode,
        kubeconfig=settings.client_connection.kubeconfig,
        server=server,
        bind_address=_bind_address(settings),
        masquerade_bit=section.masquerade_bit,
        masquerade_all=settings.nftables.masquerade_all or settings.iptables.masquerade_all,
        detect_local=detection,
        cluster_cidrs=_prefixes(tuple(settings.cluster_cidr.split(","))),
        interface=detect.bridge_interface if bridge else detect.interface_name_prefix,
        node_ports=_node_ports(settings, mode),
        healthz_bind=settings.healthz_bind_address,
        metrics_bind=settings.metrics_bind_address,
        bind_hard_fail=settings.bind_address_hard_fail,
        sync_period=section.sync_period,
        min_sync_period=section.min_sync_period if explicit else _SOON,
    )


def _bind_address(settings: Settings) -> Address | None:
    """None for the unspecified address, which says nothing."""
    address = addresses.parse(settings.bind_address)
    return address if address is not None and any(address) else None


def _node_ports(settings: Settings, mode: Mode) -> NodePorts:
    """By default all addresses in the iptables mode and the Node's own in the other; each family is read by itself.

    As with kube-proxy a family of which nothing is said answers everywhere; but `primary` speaks of both here, so that
    a Node without an address of a family opens none of that family. Loopback answers in the iptables mode alone.
    """
    entries = settings.node_port_addresses or (("primary",) if mode is Mode.NFTABLES else ("all",))
    primary = "primary" in entries
    prefixes = _prefixes(entries)
    if "localhost" in entries:
        prefixes = (*prefixes, *_prefixes(("127.0.0.0/8", "::1/128")))
    if "all" in entries:
        prefixes = (*prefixes, *_prefixes(("0.0.0.0/0", "::/0")))
    of_family = {family: [prefix for prefix in prefixes if prefix.family is family] for family in Family}
    everywhere = frozenset(
        family for family, own in of_family.items() if any(one.length == 0 for one in own) or not (own or primary)
    )
    on_loopback = Family.IPV4 in everywhere or any(map(_is_of_loopback, of_family[Family.IPV4]))
    return NodePorts(
        primary=primary,
        everywhere=everywhere,
        prefixes=tuple(prefix for prefix in prefixes if prefix.family not in everywhere),
        loopback=mode is Mode.IPTABLES and on_loopback and settings.iptables.localhost_node_ports,
    )


def _is_of_loopback(prefix: Prefix) -> bool:
    return prefix.address[0] == 127 or Address(bytes((127, 0, 0, 0))) in prefix


def _prefixes(texts: tuple[str, ...]) -> tuple[Prefix, ...]:
    return tuple(prefix for prefix in map(addresses.parse_prefix, texts) if prefix is not None)
