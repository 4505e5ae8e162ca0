"""Which fields are accepted and have no effect yet. Whoever makes one work takes its line out."""

from collections.abc import Iterator
from typing import Final

import msgspec

from nodekit.config import Document, Problem
from pykubelet.config.settings import Settings

_MANAGERS: Final = "there are no CPU, memory and topology managers"
_RESERVED: Final = "nothing is enforced on the node's own processes"
_LIMITS: Final = "requests are bounded by what runs at once, not by rate"
_IPTABLES: Final = "no iptables rules are made"

NO_EFFECT: Final[dict[str, str]] = {
    "static_pod_url": "static Pods come from files alone",
    "static_pod_url_header": "static Pods come from files alone",
    "http_check_frequency": "static Pods come from files alone",
    "sync_frequency": "Pods are synced when something happens",
    "tls_curve_preferences": "OpenSSL's are used",
    "registry_pull_qps": _LIMITS,
    "registry_burst": _LIMITS,
    "event_record_qps": _LIMITS,
    "event_burst": _LIMITS,
    "kube_api_qps": _LIMITS,
    "kube_api_burst": _LIMITS,
    "enable_contention_profiling": "there are no Go locks to profile",
    "oom_score_adj": "the agent leaves its own OOM score alone",
    "streaming_connection_idle_timeout": "idle streams stay open",
    "pod_cidr": "the Node has it",
    "cpu_cfs_quota_period": "quotas are of 100 ms",
    "container_log_max_workers": "logs are rotated one after the other",
    "config_map_and_secret_change_detection_strategy": "they are watched",
    "default_pod_sysctls": "Pods have the sysctls that they ask for",
    "volume_stats_agg_period": "volume sizes are measured when asked for",
    "kubelet_cgroups": _RESERVED,
    "system_cgroups": _RESERVED,
    "system_reserved_cgroup": _RESERVED,
    "kube_reserved_cgroup": _RESERVED,
    "cpu_manager_policy": _MANAGERS,
    "cpu_manager_policy_options": _MANAGERS,
    "cpu_manager_reconcile_period": _MANAGERS,
    "memory_manager_policy": _MANAGERS,
    "topology_manager_policy": _MANAGERS,
    "topology_manager_scope": _MANAGERS,
    "topology_manager_policy_options": _MANAGERS,
    "reserved_memory": _MANAGERS,
    "reserved_system_cpus": _MANAGERS,
    "qos_reserved": "the field is alpha",
    "hairpin_mode": "the network plugin decides it",
    "max_open_files": "the agent leaves its own limits alone",
    "content_type": "the API is spoken in JSON",
    "kernel_memcg_notification": "memory is looked at every ten seconds",
    "protect_kernel_defaults": "kernel settings are left alone",
    "make_iptables_util_chains": _IPTABLES,
    "iptables_masquerade_bit": _IPTABLES,
    "iptables_drop_bit": _IPTABLES,
    "volume_plugin_dir": "there are no FlexVolume plugins",
    "show_hidden_metrics_for_version": "no metrics are hidden",
    "enable_system_log_query": "the machine's logs are not queried",
    "memory_throttling_factor": "memory is not throttled",
    "memory_reservation_policy": "memory is not reserved in the kernel",
    "tracing": "no spans are sent",
}

_DEFAULTS: Final = Settings()


def warnings(document: Document[Settings]) -> Iterator[Problem]:
    """One for each field that the files set away from its default in vain."""
    for entry in msgspec.structs.fields(Settings):
        why = NO_EFFECT.get(entry.name)
        if why is None or not document.is_set(entry.encode_name):
            continue
        if getattr(document.settings, entry.name) != getattr(_DEFAULTS, entry.name):
            yield document.problem(entry.encode_name, f"has no effect yet: {why}")
