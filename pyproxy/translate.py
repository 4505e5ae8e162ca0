"""From the configuration as users write it to the options the loops run with."""

import socket

from nodekit.config import Document
from pyproxy.config.settings import Settings
from pyproxy.model import address as addresses
from pyproxy.model.address import Prefix
from pyproxy.model.options import DetectLocal, NodePorts, Options

_SOON = 0.005


def options(settings: Settings, *, document: Document[Settings] | None = None, server: str = "") -> Options:
    """The options. A minimum sync period holds only where the file sets it: changes cost too little to wait longer."""
    nftables = settings.nftables
    explicit = document is not None and document.is_set("nftables.minSyncPeriod")
    detect = settings.detect_local
    mode = DetectLocal(settings.detect_local_mode or DetectLocal.CLUSTER_CIDR.value)
    return Options(
        node=settings.hostname_override.strip().lower() or socket.gethostname().lower(),
        kubeconfig=settings.client_connection.kubeconfig,
        server=server,
        masquerade_bit=nftables.masquerade_bit,
        masquerade_all=nftables.masquerade_all or settings.iptables.masquerade_all,
        detect_local=mode,
        cluster_cidrs=_prefixes(tuple(settings.cluster_cidr.split(","))),
        interface=detect.bridge_interface if mode is DetectLocal.BRIDGE_INTERFACE else detect.interface_name_prefix,
        node_ports=_node_ports(settings.node_port_addresses),
        healthz_bind=settings.healthz_bind_address,
        metrics_bind=settings.metrics_bind_address,
        bind_hard_fail=settings.bind_address_hard_fail,
        sync_period=nftables.sync_period,
        min_sync_period=nftables.min_sync_period if explicit else _SOON,
    )


def _node_ports(entries: tuple[str, ...]) -> NodePorts:
    """Loopback never answers NodePorts in this mode, so `localhost` adds nothing."""
    if not entries:
        return NodePorts()
    prefixes = _prefixes(entries)
    everywhere = "all" in entries or any(prefix.length == 0 for prefix in prefixes)
    return NodePorts(primary="primary" in entries, everywhere=everywhere, prefixes=prefixes)


def _prefixes(texts: tuple[str, ...]) -> tuple[Prefix, ...]:
    return tuple(prefix for prefix in map(addresses.parse_prefix, texts) if prefix is not None)
