"""The command line's flags: kube-proxy's own, each the field of the configuration it stands for."""

import argparse
import enum
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from nodekit import duration
from nodekit.config_logging import Logging
from pyproxy.config.settings import Settings
from pyproxy.model.ruleset import Counting


def _bool(text: str) -> bool:
    if text.lower() in ("true", "t", "1"):
        return True
    if text.lower() in ("false", "f", "0"):
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _gates(text: str) -> dict[str, bool]:
    return {name: _bool(value) for name, _, value in (part.partition("=") for part in _list(text))}


def _seconds(text: str) -> float:
    try:
        return duration.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag and the path of the field it sets."""

    name: str
    path: str
    read: Callable[[str], Any]


_FIELDS: Final = (
    Flag("bind-address", "bind_address", str),
    Flag("bind-address-hard-fail", "bind_address_hard_fail", _bool),
    Flag("cluster-cidr", "cluster_cidr", str),
    Flag("config-sync-period", "config_sync_period", _seconds),
    Flag("conntrack-max-per-core", "conntrack.max_per_core", int),
    Flag("conntrack-min", "conntrack.min", int),
    Flag("conntrack-tcp-be-liberal", "conntrack.tcp_be_liberal", _bool),
    Flag("conntrack-tcp-timeout-close-wait", "conntrack.tcp_close_wait_timeout", _seconds),
    Flag("conntrack-tcp-timeout-established", "conntrack.tcp_established_timeout", _seconds),
    Flag("conntrack-udp-timeout", "conntrack.udp_timeout", _seconds),
    Flag("conntrack-udp-timeout-stream", "conntrack.udp_stream_timeout", _seconds),
    Flag("detect-local-mode", "detect_local_mode", str),
    Flag("feature-gates", "feature_gates", _gates),
    Flag("healthz-bind-address", "healthz_bind_address", str),
    Flag("iptables-localhost-nodeports", "iptables.localhost_node_ports", _bool),
    Flag("iptables-masquerade-bit", "iptables.masquerade_bit", int),
    Flag("iptables-min-sync-period", "iptables.min_sync_period", _seconds),
    Flag("iptables-sync-period", "iptables.sync_period", _seconds),
    Flag("ipvs-exclude-cidrs", "ipvs.exclude_cidrs", _list),
    Flag("ipvs-min-sync-period", "ipvs.min_sync_period", _seconds),
    Flag("ipvs-scheduler", "ipvs.scheduler", str),
    Flag("ipvs-strict-arp", "ipvs.strict_arp", _bool),
    Flag("ipvs-sync-period", "ipvs.sync_period", _seconds),
    Flag("ipvs-tcp-timeout", "ipvs.tcp_timeout", _seconds),
    Flag("ipvs-tcpfin-timeout", "ipvs.tcp_fin_timeout", _seconds),
    Flag("ipvs-udp-timeout", "ipvs.udp_timeout", _seconds),
    Flag("kube-api-burst", "client_connection.burst", int),
    Flag("kube-api-content-type", "client_connection.content_type", str),
    Flag("kube-api-qps", "client_connection.qps", float),
    Flag("kubeconfig", "client_connection.kubeconfig", str),
    Flag("masquerade-all", "nftables.masquerade_all", _bool),
    Flag("metrics-bind-address", "metrics_bind_address", str),
    Flag("nodeport-addresses", "node_port_addresses", _list),
    Flag("oom-score-adj", "oom_score_adj", int),
    Flag("pod-bridge-interface", "detect_local.bridge_interface", str),
    Flag("pod-interface-name-prefix", "detect_local.interface_name_prefix", str),
    Flag("profiling", "enable_profiling", _bool),
    Flag("proxy-mode", "mode", str),
    Flag("show-hidden-metrics-for-version", "show_hidden_metrics_for_version", str),
)
_BARE_TRUE: Final = {
    "bind-address-hard-fail",
    "conntrack-tcp-be-liberal",
    "iptables-localhost-nodeports",
    "ipvs-strict-arp",
    "masquerade-all",
    "profiling",
}


def parser() -> argparse.ArgumentParser:
    """All flags. Those that stand for a field are ignored beside --config, as kube-proxy does."""
    made = argparse.ArgumentParser(prog="pyproxy", description="Makes Service addresses work on this node.")
    made.add_argument("command", nargs="?", choices=("explain", "dump"), help="look, and change nothing")
    made.add_argument("target", nargs="?", default="", help="with explain: ADDRESS:PORT, or :NODEPORT")
    actions = made.add_argument_group("what to do")
    actions.add_argument("--config", type=Path, help="a KubeProxyConfiguration file; it replaces the field flags")
    actions.add_argument("--write-config-to", type=Path, help="write the whole configuration to this file and exit")
    actions.add_argument("--cleanup", action="store_true", help="remove every rule of ours and exit")
    actions.add_argument("--init-only", action="store_true", help="do what needs full root privileges and exit")
    actions.add_argument(
        "--dry-run", action="store_true", help="print the ruleset as nft or iptables-restore text and exit"
    )
    actions.add_argument("--diff", action="store_true", help="with dump: only what differs from what the API asks")
    actions.add_argument("--version", action="store_true", help="print the version and exit")
    always = made.add_argument_group("beside --config too")
    always.add_argument("--hostname-override", default="", help="the name of this node's Node object")
    always.add_argument("--master", default="", help="the API server, before any in the kubeconfig")
    always.add_argument(
        "--count-connections",
        type=Counting,
        choices=tuple(Counting),
        default=Counting.NOTHING,
        metavar="{" + ",".join(one.value for one in Counting) + "}",
        help="count new connections by Service, or by endpoint too, for /metrics",
    )
    always.add_argument("-v", "--v", type=int, default=None, help="how much to log")
    always.add_argument("--logging-format", choices=("text", "json"), help="how to log")
    fields = made.add_argument_group("fields of the configuration")
    for flag in _FIELDS:
        bare: dict[str, Any] = {"nargs": "?", "const": True} if flag.name in _BARE_TRUE else {}
        fields.add_argument(f"--{flag.name}", dest=flag.path, type=flag.read, metavar="VALUE", default=None, **bare)
    return made


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; ends the program with a usage message when it is wrong."""
    made = parser()
    given = made.parse_args(arguments)
    if (given.command == "explain") != bool(given.target):
        made.error("explain needs ADDRESS:PORT or :NODEPORT, and nothing else takes one")
    return given


def apply(settings: Settings, given: argparse.Namespace) -> Settings:
    """The settings with the fields that flags set."""
    for flag in _FIELDS:
        value = getattr(given, flag.path)
        if value is not None:
            settings = _replaced(settings, flag.path.split("."), value)
    return settings


def apply_always(settings: Settings, given: argparse.Namespace) -> Settings:
    """The settings with what the command line says even beside a file."""
    logging: Logging = settings.logging
    if given.v is not None:
        logging = msgspec.structs.replace(logging, verbosity=given.v)
    if given.logging_format is not None:
        logging = msgspec.structs.replace(logging, format=given.logging_format)
    node = given.hostname_override or settings.hostname_override
    return msgspec.structs.replace(settings, logging=logging, hostname_override=node)


def _replaced(section: Any, path: list[str], value: Any) -> Any:
    name, *rest = path
    if rest:
        value = _replaced(getattr(section, name), rest, value)
    return msgspec.structs.replace(section, **{name: value})


def shown(given: argparse.Namespace) -> dict[str, str]:
    """Every flag with its value or default, as Go's flags print theirs: what a --config file says is not in it."""
    effective = apply(Settings(), given)
    found = {}
    for flag in _FIELDS:
        value = _value(effective, flag.path)
        found[flag.name] = f"{value:g}" if flag.read is float else _text(value)
    for action in parser()._actions:
        name = max(action.option_strings, key=len, default="").removeprefix("--")
        if name and name not in found and action.dest in given:
            found[name] = _text(getattr(given, action.dest))
    return found


def _value(section: Any, path: str) -> Any:
    return functools.reduce(getattr, path.split("."), section)


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case enum.Enum():
            return str(value.value)
        case float():
            return duration.text(value)
        case tuple():
            return f"[{','.join(value)}]"
        case dict():
            return ",".join(f"{name}={_text(item)}" for name, item in value.items())
    return str(value)
