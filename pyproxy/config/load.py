"""Reads the proxy's configuration file into settings, or tells every mistake in it; and writes one."""

import dataclasses
import ipaddress
from pathlib import Path
from typing import Final

import msgspec
import yaml

from nodekit import config
from nodekit.config import Document
from pyproxy.config import validate
from pyproxy.config.settings import API_VERSION, KIND, Settings

_HEALTHZ_PORT: Final = 10256
_METRICS_PORT: Final = 10249


def load(path: Path) -> Document[Settings]:
    """Read the file; raises config.ConfigError with every mistake."""
    document = config.read([path], Settings, api_version=API_VERSION, kind=KIND)
    document = dataclasses.replace(document, settings=_completed(document))
    problems = [*document.problems, *validate.problems(document)]
    if problems:
        raise config.ConfigError(problems)
    return document


def text(settings: Settings) -> str:
    """The settings as a configuration file with every field in it, as `--write-config-to` asks."""
    return yaml.safe_dump({"apiVersion": API_VERSION, "kind": KIND, **config.render(settings)}, sort_keys=True)


def _completed(document: Document[Settings]) -> Settings:
    """Defaults that depend on other fields. Source: SetDefaults_KubeProxyConfiguration."""
    settings = document.settings
    try:
        six = ipaddress.ip_address(settings.bind_address).version == 6
    except ValueError:
        return settings
    healthz, metrics = settings.healthz_bind_address, settings.metrics_bind_address
    if not document.is_set("healthzBindAddress") and six:
        healthz = "[::]"
    if not document.is_set("metricsBindAddress") and six:
        metrics = "[::1]"
    return msgspec.structs.replace(
        settings,
        healthz_bind_address=_with_port(healthz, _HEALTHZ_PORT),
        metrics_bind_address=_with_port(metrics, _METRICS_PORT),
    )


def _with_port(address: str, port: int) -> str:
    """The address with the port when it has none of its own."""
    bare = address.removeprefix("[").removesuffix("]")
    try:
        six = ipaddress.ip_address(bare).version == 6
    except ValueError:
        return address
    return f"[{bare}]:{port}" if six else f"{bare}:{port}"
