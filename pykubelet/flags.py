"""The genuine kubelet's flags that stand for fields of the configuration file, and those that are taken and ignored.

Source: cmd/kubelet/app/options/options.go, and kubeletConfigFlagPrecedence of cmd/kubelet/app/server.go: what a flag
says replaces what the file and its drop-ins say, maps and lists as a whole; a flag given twice adds to its map or list.
"""

import argparse
import dataclasses
import operator
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from nodekit import config, config_types, yamltree
from nodekit.config import Document
from nodekit.config_types import Kind, Section
from nodekit.yamltree import Place
from pykubelet import flag_values
from pykubelet.config import parts
from pykubelet.config.settings import Settings

S = TypeVar("S", bound=Section)


def _replaced(_: Any, value: Any) -> Any:
    return value


@dataclasses.dataclass(frozen=True, slots=True)
class Flag:
    """A flag and the Settings field it overrides, with dots between sections.

    The text is read by the field's type unless `read` says otherwise; `separator` is that of a map's entries; `over`
    joins the file's value and the flag's where the flag does not simply replace it. A map or list that is given twice
    `grows`, or is what was said last.
    """

    name: str
    field: str
    read: flag_values.Read | None = None
    separator: str = "="
    over: Callable[[Any, Any], Any] = _replaced
    grows: bool = True


# fmt: off
FIELDS: Final = (
    Flag("address", "address"),
    Flag("allowed-unsafe-sysctls", "allowed_unsafe_sysctls"),
    Flag("anonymous-auth", "authentication.anonymous.enabled"),
    Flag("authentication-token-webhook", "authentication.webhook.enabled"),
    Flag("authentication-token-webhook-cache-ttl", "authentication.webhook.cache_ttl"),
    Flag("authorization-mode", "authorization.mode"),
    Flag("authorization-webhook-cache-authorized-ttl", "authorization.webhook.cache_authorized_ttl"),
    Flag("authorization-webhook-cache-unauthorized-ttl", "authorization.webhook.cache_unauthorized_ttl"),
    Flag("cgroup-driver", "cgroup_driver"),
    Flag("cgroup-root", "cgroup_root"),
    Flag("cgroups-per-qos", "cgroups_per_qos"),
    Flag("client-ca-file", "authentication.x509.client_ca_file"),
    Flag("cluster-dns", "cluster_dns"),
    Flag("cluster-domain", "cluster_domain"),
    Flag("container-log-max-files", "container_log_max_files"),
    Flag("container-log-max-size", "container_log_max_size"),
    Flag("container-runtime-endpoint", "container_runtime_endpoint"),
    Flag("contention-profiling", "enable_contention_profiling"),
    Flag("cpu-cfs-quota", "cpu_cfs_quota"),
    Flag("cpu-cfs-quota-period", "cpu_cfs_quota_period"),
    Flag("cpu-manager-policy", "cpu_manager_policy"),
    Flag("cpu-manager-policy-options", "cpu_manager_policy_options", flag_values.one_pair),
    Flag("cpu-manager-reconcile-period", "cpu_manager_reconcile_period"),
    Flag("enable-controller-attach-detach", "enable_controller_attach_detach"),
    Flag("enable-debugging-handlers", "enable_debugging_handlers"),
    Flag("enable-server", "enable_server"),
    Flag("enforce-node-allocatable", "enforce_node_allocatable"),
    Flag("event-burst", "event_burst"),
    Flag("event-qps", "event_record_qps"),
    Flag("eviction-hard", "eviction_hard", separator="<"),
    Flag("eviction-max-pod-grace-period", "eviction_max_pod_grace_period"),
    Flag("eviction-minimum-reclaim", "eviction_minimum_reclaim"),
    Flag("eviction-pressure-transition-period", "eviction_pressure_transition_period"),
    Flag("eviction-soft", "eviction_soft", separator="<"),
    Flag("eviction-soft-grace-period", "eviction_soft_grace_period"),
    Flag("fail-cgroupv1", "fail_cgroup_v1"),
    Flag("fail-swap-on", "fail_swap_on"),
    # The file's gates stay where the flag does not name them.
    Flag("feature-gates", "feature_gates", over=operator.or_),
    Flag("file-check-frequency", "file_check_frequency"),
    Flag("hairpin-mode", "hairpin_mode"),
    Flag("healthz-bind-address", "healthz_bind_address"),
    Flag("healthz-port", "healthz_port"),
    Flag("http-check-frequency", "http_check_frequency"),
    Flag("image-gc-high-threshold", "image_gc_high_threshold_percent"),
    Flag("image-gc-low-threshold", "image_gc_low_threshold_percent"),
    Flag("image-service-endpoint", "image_service_endpoint"),
    Flag("kernel-memcg-notification", "kernel_memcg_notification"),
    Flag("kube-api-burst", "kube_api_burst"),
    Flag("kube-api-content-type", "content_type"),
    Flag("kube-api-qps", "kube_api_qps"),
    Flag("kube-reserved", "kube_reserved"),
    Flag("kube-reserved-cgroup", "kube_reserved_cgroup"),
    Flag("kubelet-cgroups", "kubelet_cgroups"),
    Flag("local-storage-capacity-isolation", "local_storage_capacity_isolation"),
    Flag("log-flush-frequency", "logging.flush_frequency"),
    Flag("log-json-info-buffer-size", "logging.options.json.info_buffer_size"),
    Flag("log-json-split-stream", "logging.options.json.split_stream"),
    Flag("log-text-info-buffer-size", "logging.options.text.info_buffer_size"),
    Flag("log-text-split-stream", "logging.options.text.split_stream"),
    Flag("logging-format", "logging.format"),
    Flag("make-iptables-util-chains", "make_iptables_util_chains"),
    Flag("manifest-url", "static_pod_url"),
    Flag("manifest-url-header", "static_pod_url_header", flag_values.headers),
    Flag("max-open-files", "max_open_files"),
    Flag("max-pods", "max_pods"),
    Flag("memory-manager-policy", "memory_manager_policy"),
    Flag("minimum-image-ttl-duration", "image_minimum_gc_age"),
    Flag("node-status-max-images", "node_status_max_images"),
    Flag("node-status-update-frequency", "node_status_update_frequency"),
    Flag("oom-score-adj", "oom_score_adj"),
    Flag("pod-cidr", "pod_cidr"),
    Flag("pod-manifest-path", "static_pod_path"),
    Flag("pod-max-pids", "pod_pids_limit"),
    Flag("pods-per-core", "pods_per_core"),
    Flag("port", "port"),
    Flag("protect-kernel-defaults", "protect_kernel_defaults"),
    Flag("provider-id", "provider_id"),
    Flag("qos-reserved", "qos_reserved"),
    Flag("read-only-port", "read_only_port"),
    Flag("register-node", "register_node"),
    Flag("register-with-taints", "register_with_taints", flag_values.taints, grows=False),
    Flag("registry-burst", "registry_burst"),
    Flag("registry-qps", "registry_pull_qps"),
    Flag("reserved-cpus", "reserved_system_cpus"),
    Flag("reserved-memory", "reserved_memory", flag_values.reservations),
    Flag("resolv-conf", "resolv_conf"),
    Flag("rotate-certificates", "rotate_certificates"),
    Flag("rotate-server-certificates", "server_tls_bootstrap"),
    Flag("runonce", "run_once"),
    Flag("runtime-request-timeout", "runtime_request_timeout"),
    # The one flag that can only turn on: K/cmd/kubelet/app/server.go takes either's word.
    Flag("seccomp-default", "seccomp_default", over=operator.or_),
    Flag("serialize-image-pulls", "serialize_image_pulls"),
    Flag("streaming-connection-idle-timeout", "streaming_connection_idle_timeout"),
    Flag("sync-frequency", "sync_frequency"),
    Flag("system-cgroups", "system_cgroups"),
    Flag("system-reserved", "system_reserved"),
    Flag("system-reserved-cgroup", "system_reserved_cgroup"),
    Flag("tls-cert-file", "tls_cert_file"),
    Flag("tls-cipher-suites", "tls_cipher_suites"),
    Flag("tls-min-version", "tls_min_version"),
    Flag("tls-private-key-file", "tls_private_key_file"),
    Flag("topology-manager-policy", "topology_manager_policy"),
    Flag("topology-manager-policy-options", "topology_manager_policy_options"),
    Flag("topology-manager-scope", "topology_manager_scope"),
    Flag("v", "logging.verbosity"),
    Flag("vmodule", "logging.vmodule", flag_values.modules),
    Flag("volume-plugin-dir", "volume_plugin_dir"),
    Flag("volume-stats-agg-period", "volume_stats_agg_period"),
)

# No field of the configuration stands for these; the last line has flags of older kubelets that units still name.
IGNORED: Final = (
    "exit-on-lock-contention", "experimental-allocatable-ignore-eviction",
    "experimental-mounter-path", "housekeeping-interval", "lock-file", "maximum-dead-containers",
    "maximum-dead-containers-per-container", "minimum-container-ttl-duration", "runtime-cgroups",
    "cloud-config", "container-runtime", "log-file-max-size", "pod-infra-container-image",
)
# fmt: on


class Parser(argparse.ArgumentParser):
    """Ends with code 1 on a mistake, as the genuine kubelet does."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        self.exit(1, f"{self.prog}: {message}\n")


def dashed(word: str) -> str:
    """`--max-pods=7` for `--max_pods=7`, as Go takes either."""
    name, equals, value = word.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}" if word.startswith("--") else word


class _Grow(argparse.Action):
    """Keeps the value; a map or list that is given again grows."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        before = getattr(namespace, self.dest)
        if isinstance(before, dict):
            values = {**before, **values}
        elif isinstance(before, tuple):
            values = (*before, *values)
        setattr(namespace, self.dest, values)


def add(parser: argparse.ArgumentParser) -> None:
    """Let the parser take them all."""
    fields = parser.add_argument_group("fields of the configuration file, as deprecated flags")
    for flag in FIELDS:
        kind = _kind(Settings, flag.field.split("."))
        read = flag.read or flag_values.of(kind, separator=flag.separator)
        action: Any = _Grow if flag.grows else "store"
        names = [f"--{flag.name}", *(["-v"] if flag.name == "v" else [])]
        if kind.base is bool:
            fields.add_argument(*names, dest=flag.field, type=read, nargs="?", const=True, action=action)
        else:
            fields.add_argument(*names, dest=flag.field, type=read, action=action)
    for name in IGNORED:
        parser.add_argument(f"--{name}", nargs="?", const="", help=argparse.SUPPRESS)


def laid_over(document: Document[Settings], given: argparse.Namespace) -> Document[Settings]:
    """The document with what flags say in place of what files say; a mistake in it is then the flag's."""
    settings, places = document.settings, dict(document.places)
    for flag in FIELDS:
        if (value := getattr(given, flag.field)) is None:
            continue
        steps = flag.field.split(".")
        settings = _with(settings, steps, flag.over(_get(settings, steps), value))
        path = ".".join(_encoded(Settings, steps))
        if flag.over is _replaced:
            places = {at: place for at, place in places.items() if not at.startswith((f"{path}[", f"{path}."))}
        places[path] = Place(f"--{flag.name}", yamltree.NO_LINE)
    return dataclasses.replace(document, settings=settings, places=places)


def shown(parser: argparse.ArgumentParser, given: argparse.Namespace) -> dict[str, str]:
    """Every flag with its value or default, as Go's flags print theirs."""
    nothing: Document[Settings] = Document(Settings(), {}, [], Place("", yamltree.NO_LINE))
    effective = laid_over(nothing, given).settings
    found = {flag.name: _shown(flag, effective) for flag in FIELDS}
    for action in parser._actions:
        name = max(action.option_strings, key=len, default="").removeprefix("--")
        value = getattr(given, action.dest, None)
        if name and name not in found and (name not in IGNORED or value is not None):
            found[name] = _text(value)
    return found


def ignored(given: argparse.Namespace) -> Iterator[str]:
    """The flags that were given and stand for no field: they have no effect."""
    return (f"--{name}" for name in IGNORED if getattr(given, name.replace("-", "_")) is not None)


def _with(section: S, steps: list[str], value: Any) -> S:
    name, *rest = steps
    return msgspec.structs.replace(section, **{name: _with(getattr(section, name), rest, value) if rest else value})


def _get(section: Any, steps: list[str]) -> Any:
    return operator.attrgetter(".".join(steps))(section)


def _kind(section: type[Section], steps: list[str]) -> Kind:
    name, *rest = steps
    kind = config_types.plain(next(field.type for field in msgspec.structs.fields(section) if field.name == name))
    return _kind(kind.base, rest) if rest else kind


def _encoded(section: type[Section], steps: list[str]) -> Iterator[str]:
    """The path as it stands in a file."""
    for name in steps:
        field = next(field for field in msgspec.structs.fields(section) if field.name == name)
        yield field.encode_name
        section = config_types.plain(field.type).base


def _shown(flag: Flag, effective: Settings) -> str:
    value = _get(effective, flag.field.split("."))
    if isinstance(value, dict) and flag.separator != "=":
        return ",".join(sorted(f"{name}{flag.separator}{_text(item)}" for name, item in value.items()))
    if flag.read is not None:
        return _text(value)
    found: Any = config.render(effective)
    for name in _encoded(Settings, flag.field.split(".")):
        found = found[name]
    return _text(found)


def _text(value: Any) -> str:
    match value:
        case None | argparse.SUPPRESS:
            return ""
        case bool():
            return str(value).lower()
        case parts.Taint():
            return f"{value.key}={value.value}:{value.effect}"
        case parts.MemoryReservation():
            return f"{value.numa_node}:{_text(value.limits)}"
        case config_types.Section():
            return "=".join(_text(item) for item in msgspec.structs.astuple(value))
        case list() | tuple():
            return f"[{','.join('='.join(item) if isinstance(item, tuple) else _text(item) for item in value)}]"
        case dict():
            return ",".join(f"{name}={_text(item)}" for name, item in sorted(value.items()))
    return str(value)
