"""The genuine kubelet's flags that stand for fields of the configuration file, and those that are taken and ignored.

Source: cmd/kubelet/app/options/options.go.
"""

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from nodekit import config, duration
from nodekit.config_types import Section
from nodekit.objects import quantity
from nodekit.objects.node import Taint
from pykubelet.config.settings import Settings

S = TypeVar("S", bound=Section)
_TRUE: Final = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}


def boolean(text: str) -> bool:
    """As Go's flag package reads it."""
    if text.lower() not in _TRUE:
        raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")
    return _TRUE[text.lower()]


def words(text: str) -> tuple[str, ...]:
    """A comma-separated list."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def seconds(text: str) -> float:
    """A Go duration."""
    try:
        return duration.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def one_of(*allowed: str) -> Callable[[str], str]:
    """One of these words."""

    def read(text: str) -> str:
        if text not in allowed:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(allowed)}, got {text!r}")
        return text

    return read


@dataclasses.dataclass(frozen=True, slots=True)
class Flag:
    """A flag and the Settings field it overrides, with dots between sections."""

    name: str
    field: str
    type: Any = str


FIELDS: Final = (
    Flag("address", "address"),
    Flag("anonymous-auth", "authentication.anonymous.enabled", boolean),
    Flag("authentication-token-webhook", "authentication.webhook.enabled", boolean),
    Flag("authentication-token-webhook-cache-ttl", "authentication.webhook.cache_ttl", seconds),
    Flag("authorization-mode", "authorization.mode", one_of("AlwaysAllow", "Webhook")),
    Flag("authorization-webhook-cache-authorized-ttl", "authorization.webhook.cache_authorized_ttl", seconds),
    Flag("authorization-webhook-cache-unauthorized-ttl", "authorization.webhook.cache_unauthorized_ttl", seconds),
    Flag("allowed-unsafe-sysctls", "allowed_unsafe_sysctls", words),
    Flag("cgroup-driver", "cgroup_driver"),
    Flag("cgroup-root", "cgroup_root"),
    Flag("client-ca-file", "authentication.x509.client_ca_file"),
    Flag("cluster-dns", "cluster_dns", words),
    Flag("cluster-domain", "cluster_domain"),
    Flag("container-log-max-files", "container_log_max_files", int),
    Flag("container-log-max-size", "container_log_max_size", quantity.parse),
    Flag("container-runtime-endpoint", "container_runtime_endpoint"),
    Flag("cpu-cfs-quota", "cpu_cfs_quota", boolean),
    Flag("enable-debugging-handlers", "enable_debugging_handlers", boolean),
    Flag("enable-server", "enable_server", boolean),
    Flag("fail-cgroupv1", "fail_cgroup_v1", boolean),
    Flag("fail-swap-on", "fail_swap_on", boolean),
    Flag("file-check-frequency", "file_check_frequency", seconds),
    Flag("healthz-bind-address", "healthz_bind_address"),
    Flag("healthz-port", "healthz_port", int),
    Flag("image-service-endpoint", "image_service_endpoint"),
    Flag("max-pods", "max_pods", int),
    Flag("node-status-max-images", "node_status_max_images", int),
    Flag("node-status-update-frequency", "node_status_update_frequency", seconds),
    Flag("pod-cidr", "pod_cidr"),
    Flag("pod-manifest-path", "static_pod_path"),
    Flag("pod-max-pids", "pod_pids_limit", int),
    Flag("port", "port", int),
    Flag("provider-id", "provider_id"),
    Flag("read-only-port", "read_only_port", int),
    Flag("register-node", "register_node", boolean),
    Flag("resolv-conf", "resolv_conf"),
    Flag("rotate-certificates", "rotate_certificates", boolean),
    Flag("rotate-server-certificates", "server_tls_bootstrap", boolean),
    Flag("runtime-request-timeout", "runtime_request_timeout", seconds),
    Flag("seccomp-default", "seccomp_default", boolean),
    Flag("serialize-image-pulls", "serialize_image_pulls", boolean),
    Flag("streaming-connection-idle-timeout", "streaming_connection_idle_timeout", seconds),
    Flag("tls-cert-file", "tls_cert_file"),
    Flag("tls-cipher-suites", "tls_cipher_suites", words),
    Flag("tls-min-version", "tls_min_version", one_of(*(f"VersionTLS{number}" for number in (10, 11, 12, 13)))),
    Flag("tls-private-key-file", "tls_private_key_file"),
)

# fmt: off
IGNORED: Final = (
    "cloud-config", "cloud-provider", "contention-profiling", "container-runtime", "enable-controller-attach-detach",
    "event-burst", "event-qps", "eviction-hard", "eviction-soft",
    "exit-on-lock-contention", "feature-gates", "hairpin-mode", "http-check-frequency",
    "image-gc-high-threshold",
    "image-gc-low-threshold", "kernel-memcg-notification", "kube-api-burst", "kube-api-content-type", "kube-api-qps",
    "kube-reserved", "kubelet-cgroups", "local-storage-capacity-isolation", "lock-file", "log-file-max-size",
    "log-flush-frequency", "logging-format", "make-iptables-util-chains", "manifest-url", "max-open-files",
    "maximum-dead-containers", "maximum-dead-containers-per-container", "minimum-container-ttl-duration",
    "minimum-image-ttl-duration", "oom-score-adj", "pod-infra-container-image", "protect-kernel-defaults",
    "registry-burst", "registry-qps", "runtime-cgroups", "sync-frequency", "system-cgroups", "system-reserved",
    "vmodule", "volume-plugin-dir",
)
# fmt: on


def add(parser: argparse.ArgumentParser) -> None:
    """Let the parser take them all."""
    fields = parser.add_argument_group("fields of the configuration file, as deprecated flags")
    for flag in FIELDS:
        if flag.type is boolean:
            fields.add_argument(f"--{flag.name}", dest=flag.field, type=boolean, nargs="?", const=True)
        else:
            fields.add_argument(f"--{flag.name}", dest=flag.field, type=flag.type)
    for name in IGNORED:
        parser.add_argument(f"--{name}", nargs="?", const="", help=argparse.SUPPRESS)


def applied(settings: Settings, given: argparse.Namespace) -> Settings:
    """The settings with what flags say laid over."""
    for flag in FIELDS:
        if (value := getattr(given, flag.field)) is not None:
            settings = _with(settings, flag.field.split("."), value)
    return settings


def _with(section: S, path: list[str], value: Any) -> S:
    name, *rest = path
    return msgspec.structs.replace(section, **{name: _with(getattr(section, name), rest, value) if rest else value})


def shown(parser: argparse.ArgumentParser, given: argparse.Namespace) -> dict[str, str]:
    """Every flag with its value or default, as Go's flags print theirs."""
    effective = applied(Settings(), given)
    found = {flag.name: _text(_rendered(effective, flag.field.split("."))) for flag in FIELDS}
    for action in parser._actions:
        name = max(action.option_strings, key=len, default="").removeprefix("--")
        value = getattr(given, action.dest, None)
        if name and name not in found and (name not in IGNORED or value is not None):
            found[name] = _text(value)
    return found


def _rendered(section: Section, path: list[str]) -> Any:
    name, *rest = path
    if rest:
        return _rendered(getattr(section, name), rest)
    encoded = next(field.encode_name for field in msgspec.structs.fields(section) if field.name == name)
    return config.render(section)[encoded]


def _text(value: Any) -> str:
    match value:
        case None | argparse.SUPPRESS:
            return ""
        case bool():
            return str(value).lower()
        case Taint():
            return f"{value.key}={value.value}:{value.effect}"
        case list() | tuple():
            return f"[{','.join('='.join(item) if isinstance(item, tuple) else _text(item) for item in value)}]"
        case dict():
            return ",".join(f"{name}={_text(item)}" for name, item in value.items())
    return str(value)


def ignored(given: argparse.Namespace) -> Iterator[str]:
    """The flags that were given and have no effect."""
    return (f"--{name}" for name in IGNORED if getattr(given, name.replace("-", "_")) is not None)
