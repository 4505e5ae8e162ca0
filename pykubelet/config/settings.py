"""Every field of a KubeletConfiguration (kubelet.config.k8s.io/v1beta1) with the genuine defaults.

Durations are seconds as floats, quantities are parsed. Source: k8s.io/kubelet v0.37.2 config/v1beta1/types.go, and for
the defaults pkg/kubelet/apis/config/v1beta1/defaults.go. `Given` marks what is a pointer there: its zero is meant.
"""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from nodekit.config_logging import Logging
from nodekit.config_types import Amount, Duration, Given, Section
from nodekit.objects import quantity
from pykubelet.config import parts
from pykubelet.config.parts import Count, Limit

KIND: Final = "KubeletConfiguration"
API_VERSION: Final = "kubelet.config.k8s.io/v1beta1"

Port: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Percent: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=100)]
Bit: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=31)]
Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Seconds: TypeAlias = Annotated[Duration, msgspec.Meta(ge=0)]


class Settings(Section):
    """What the kubelet is told. Fields stand in the order of the genuine type."""

    enable_server: bool = True
    static_pod_path: str = ""
    pod_logs_dir: str = "/var/log/pods"
    sync_frequency: Seconds = 60.0
    file_check_frequency: Seconds = 20.0
    http_check_frequency: Seconds = 20.0
    static_pod_url: str = ""
    static_pod_url_header: dict[str, tuple[str, ...]] = msgspec.field(name="staticPodURLHeader", default_factory=dict)
    address: str = "0.0.0.0"
    port: Port = 10250
    read_only_port: Given[Annotated[int, msgspec.Meta(ge=0, le=65535)]] = 0
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    tls_cipher_suites: tuple[str, ...] = ()
    tls_curve_preferences: tuple[int, ...] = ()
    tls_min_version: Literal["", "VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"] = ""
    rotate_certificates: bool = False
    server_tls_bootstrap: bool = False
    authentication: parts.Authentication = parts.Authentication()
    authorization: parts.Authorization = parts.Authorization()
    registry_pull_qps: Given[Count] = 5
    registry_burst: Count = 10
    image_pull_credentials_verification_policy: Literal[
        "NeverVerify", "NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages", "AlwaysVerify"
    ] = "NeverVerifyPreloadedImages"
    preloaded_images_verification_allowlist: tuple[str, ...] = ()
    event_record_qps: Given[Count] = 50
    event_burst: Count = 100
    enable_debugging_handlers: bool = True
    enable_contention_profiling: bool = False
    healthz_port: Given[Annotated[int, msgspec.Meta(ge=0, le=65535)]] = 10248
    healthz_bind_address: str = "127.0.0.1"
    oom_score_adj: Given[Annotated[int, msgspec.Meta(ge=-1000, le=1000)]] = msgspec.field(
        name="oomScoreAdj", default=-999
    )
    cluster_domain: str = ""
    cluster_dns: tuple[str, ...] = ()
    streaming_connection_idle_timeout: Seconds = 4 * 3600.0
    node_status_update_frequency: Seconds = 10.0
    node_status_report_frequency: Seconds = 300.0
    node_lease_duration_seconds: Positive = 40
    image_minimum_gc_age: Seconds = 120.0
    image_maximum_gc_age: Seconds = 0.0
    image_gc_high_threshold_percent: Given[Percent] = 85
    image_gc_low_threshold_percent: Given[Percent] = 80
    volume_stats_agg_period: Duration = 60.0
    kubelet_cgroups: str = ""
    system_cgroups: str = ""
    cgroup_root: str = ""
    cgroups_per_qos: bool = True
    cgroup_driver: Literal["cgroupfs", "systemd"] = "cgroupfs"
    cpu_manager_policy: str = "none"
    single_process_oom_kill: bool | None = None
    cpu_manager_policy_options: dict[str, str] = {}
    cpu_manager_reconcile_period: Seconds = 10.0
    memory_manager_policy: Literal["None", "Static"] = "None"
    topology_manager_policy: Literal["none", "best-effort", "restricted", "single-numa-node"] = "none"
    topology_manager_scope: Literal["container", "pod"] = "container"
    topology_manager_policy_options: dict[str, str] = {}
    qos_reserved: dict[str, str] = {}
    runtime_request_timeout: Seconds = 120.0
    hairpin_mode: Literal["promiscuous-bridge", "hairpin-veth", "none"] = "promiscuous-bridge"
    max_pods: Count = 110
    pod_cidr: str = ""
    pod_pids_limit: Given[int] = -1
    resolv_conf: Given[str] = "/etc/resolv.conf"
    run_once: bool = False
    cpu_cfs_quota: bool = True
    cpu_cfs_quota_period: Given[Annotated[Duration, msgspec.Meta(ge=0.001, le=1)]] = 0.1
    node_status_max_images: Given[Annotated[int, msgspec.Meta(ge=-1)]] = 50
    max_open_files: Count = 1_000_000
    content_type: str = "application/vnd.kubernetes.protobuf"
    kube_api_qps: Given[Count] = 50
    kube_api_burst: Count = 100
    serialize_image_pulls: bool = True
    max_parallel_image_pulls: Positive | None = None
    eviction_hard: Given[dict[str, Limit]] = msgspec.field(default_factory=lambda: dict(parts.EVICTION_HARD))
    eviction_soft: dict[str, Limit] = {}
    eviction_soft_grace_period: dict[str, Seconds] = {}
    eviction_pressure_transition_period: Seconds = 300.0
    eviction_max_pod_grace_period: int = 0
    eviction_minimum_reclaim: dict[str, Limit] = {}
    merge_default_eviction_settings: bool = False
    pods_per_core: Count = 0
    enable_controller_attach_detach: bool = True
    protect_kernel_defaults: bool = False
    make_iptables_util_chains: bool = msgspec.field(name="makeIPTablesUtilChains", default=True)
    iptables_masquerade_bit: Given[Bit] = 14
    iptables_drop_bit: Given[Bit] = 15
    feature_gates: dict[str, bool] = {}
    fail_swap_on: bool = True
    memory_swap: parts.MemorySwap = parts.MemorySwap()
    container_log_max_size: Amount = quantity.parse("10Mi")
    container_log_max_files: Given[Annotated[int, msgspec.Meta(ge=2)]] = 5
    container_log_max_workers: Given[Positive] = 1
    container_log_monitor_interval: Given[Annotated[Duration, msgspec.Meta(ge=3)]] = 10.0
    config_map_and_secret_change_detection_strategy: Literal["Watch", "Cache", "Get"] = "Watch"
    system_reserved: dict[str, Amount] = {}
    kube_reserved: dict[str, Amount] = {}
    reserved_system_cpus: str = ""
    show_hidden_metrics_for_version: str = ""
    system_reserved_cgroup: str = ""
    kube_reserved_cgroup: str = ""
    enforce_node_allocatable: Given[tuple[str, ...]] = ("pods",)
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    default_pod_sysctls: dict[str, str] = {}
    volume_plugin_dir: str = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/"
    provider_id: str = ""
    kernel_memcg_notification: bool = False
    logging: Logging = Logging()
    enable_system_log_handler: bool = True
    enable_system_log_query: bool = False
    shutdown_grace_period: Seconds = 0.0
    shutdown_grace_period_critical_pods: Seconds = 0.0
    shutdown_grace_period_by_pod_priority: tuple[parts.ShutdownGrace, ...] = ()
    crash_loop_back_off: parts.CrashLoopBackOff = parts.CrashLoopBackOff()
    reserved_memory: tuple[parts.MemoryReservation, ...] = ()
    enable_profiling_handler: bool = True
    enable_debug_flags_handler: bool = True
    seccomp_default: bool = False
    memory_throttling_factor: float | None = None
    memory_reservation_policy: Literal["None", "TieredReservation"] = "None"
    register_with_taints: tuple[parts.Taint, ...] = ()
    register_node: bool = True
    tracing: parts.Tracing | None = None
    local_storage_capacity_isolation: bool = True
    container_runtime_endpoint: str = "unix:///run/containerd/containerd.sock"
    image_service_endpoint: str = ""
    fail_cgroup_v1: bool = True
    user_namespaces: parts.UserNamespaces | None = None
