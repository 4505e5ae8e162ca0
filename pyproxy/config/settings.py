"""Every field of a KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1) with the genuine defaults.

Durations are seconds as floats. Source: k8s.io/kube-proxy v0.37.2 config/v1alpha1/types.go, and for the defaults
pkg/proxy/apis/config/v1alpha1/defaults.go. `Given` marks what is a pointer there: its zero is meant.
"""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from nodekit.config_logging import Logging
from nodekit.config_types import Duration, Given, Section

KIND: Final = "KubeProxyConfiguration"
API_VERSION: Final = "kubeproxy.config.k8s.io/v1alpha1"

Bit: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=31)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Seconds: TypeAlias = Annotated[Duration, msgspec.Meta(ge=0)]


class ClientConnection(Section):
    """How the API server is reached; an empty kubeconfig means from within a Pod."""

    kubeconfig: str = ""
    accept_content_types: str = ""
    content_type: str = "application/vnd.kubernetes.protobuf"
    qps: float = 5.0
    burst: Count = 10


class IPTables(Section):
    """The iptables mode."""

    masquerade_bit: Given[Bit] = 14
    masquerade_all: bool = False
    localhost_node_ports: bool = True
    sync_period: Seconds = 30.0
    min_sync_period: Seconds = 1.0


class IPVS(Section):
    """The ipvs mode."""

    sync_period: Seconds = 30.0
    min_sync_period: Seconds = 0.0
    scheduler: str = ""
    exclude_cidrs: tuple[str, ...] = ()
    strict_arp: bool = False
    tcp_timeout: Seconds = 0.0
    tcp_fin_timeout: Seconds = 0.0
    udp_timeout: Seconds = 0.0


class NFTables(Section):
    """The nftables mode."""

    masquerade_bit: Given[Bit] = 14
    masquerade_all: bool = False
    sync_period: Seconds = 30.0
    min_sync_period: Seconds = 1.0


class Conntrack(Section):
    """The kernel's connection table: its size and timeouts; 0 leaves the kernel's value alone."""

    max_per_core: Given[Count] = 32 * 1024
    min: Given[Count] = 128 * 1024
    tcp_established_timeout: Given[Seconds] = 24 * 3600.0
    tcp_close_wait_timeout: Given[Seconds] = 3600.0
    tcp_be_liberal: bool = False
    udp_timeout: Seconds = 0.0
    udp_stream_timeout: Seconds = 0.0


class Winkernel(Section):
    """The Windows mode."""

    network_name: str = ""
    source_vip: str = ""
    enable_dsr: bool = False
    root_hns_endpoint_name: str = ""
    forward_health_check_vip: bool = False


class DetectLocal(Section):
    """What the modes of detecting local traffic need to know."""

    bridge_interface: str = ""
    interface_name_prefix: str = ""


class Settings(Section):
    """What the proxy is told. Fields stand in the order of the genuine type; an empty mode leaves the choice to us."""

    feature_gates: dict[str, bool] = {}
    client_connection: ClientConnection = ClientConnection()
    logging: Logging = Logging()
    hostname_override: str = ""
    bind_address: str = "0.0.0.0"
    healthz_bind_address: str = "0.0.0.0:10256"
    metrics_bind_address: str = "127.0.0.1:10249"
    bind_address_hard_fail: bool = False
    enable_profiling: bool = False
    show_hidden_metrics_for_version: str = ""
    mode: Literal["", "iptables", "ipvs", "nftables", "kernelspace"] = ""
    iptables: IPTables = IPTables()
    ipvs: IPVS = IPVS()
    nftables: NFTables = NFTables()
    winkernel: Winkernel = Winkernel()
    detect_local_mode: Literal["", "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"] = ""
    detect_local: DetectLocal = DetectLocal()
    cluster_cidr: str = ""
    node_port_addresses: tuple[str, ...] = ()
    oom_score_adj: Given[Annotated[int, msgspec.Meta(ge=-1000, le=1000)]] = msgspec.field(
        name="oomScoreAdj", default=-999
    )
    conntrack: Conntrack = Conntrack()
    config_sync_period: Seconds = 900.0
    port_range: str = ""
    windows_run_as_service: bool = False
