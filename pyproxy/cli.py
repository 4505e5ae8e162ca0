"""The command line."""

import argparse
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from nodekit.kube import auth
from pyproxy import KUBERNETES_VERSION, app, errors
from pyproxy.model import address as addresses
from pyproxy.model.address import Prefix
from pyproxy.model.settings import DetectLocal, Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent; the exit code."""
    options = _parser().parse_args(arguments)
    if options.version:
        print(f"Kubernetes v{KUBERNETES_VERSION}")
        return 0
    logging.basicConfig(
        level=logging.DEBUG if options.v >= 4 else logging.INFO,
        format="%(levelname).1s%(asctime)s %(name)s] %(message)s",
        stream=sys.stderr,
    )
    try:
        if options.cleanup:
            app.cleanup()
            return 0
        config = _load(options.config)
        settings = _settings(config, options)
        app.main(settings, shown=lambda: config)
    except (errors.ProxyError, auth.AuthError) as error:
        print(f"pyproxy: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pyproxy", description="Makes Service addresses work on this node.")
    parser.add_argument("--config", type=Path, help="a KubeProxyConfiguration file")
    parser.add_argument("--kubeconfig", default="", help="credentials, when the file names none")
    parser.add_argument("--hostname-override", default="", help="the name of this node's Node object")
    parser.add_argument("--cluster-cidr", default="", help="where Pods' addresses are from, when the file does not say")
    parser.add_argument("--cleanup", action="store_true", help="remove every rule of ours and exit")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("-v", "--v", type=int, default=0, help="how much to log")
    return parser


def _load(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise errors.SettingsError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise errors.SettingsError(f"{path}: not a KubeProxyConfiguration")
    return found


def _settings(config: dict[str, Any], options: argparse.Namespace) -> Settings:
    nftables, detect = config.get("nftables") or {}, config.get("detectLocal") or {}
    interface = detect.get("bridgeInterface") or detect.get("interfaceNamePrefix") or ""
    node_ports = config.get("nodePortAddresses") or ["primary"]
    return Settings(
        node=options.hostname_override or config.get("hostnameOverride") or socket.gethostname().lower(),
        kubeconfig=(config.get("clientConnection") or {}).get("kubeconfig") or options.kubeconfig,
        masquerade_bit=int(nftables.get("masqueradeBit", 14)),
        masquerade_all=bool(nftables.get("masqueradeAll", False)),
        detect_local=DetectLocal(config.get("detectLocalMode") or "ClusterCIDR"),
        cluster_cidrs=_prefixes(config.get("clusterCIDR") or options.cluster_cidr),
        interface=interface,
        node_ports=None if node_ports == ["primary"] else _prefixes(",".join(node_ports)),
        healthz_bind=config.get("healthzBindAddress") or "0.0.0.0:10256",
        metrics_bind=config.get("metricsBindAddress") or "127.0.0.1:10249",
    )


def _prefixes(text: str) -> tuple[Prefix, ...]:
    return tuple(p for p in map(addresses.parse_prefix, text.split(",")) if p is not None)
