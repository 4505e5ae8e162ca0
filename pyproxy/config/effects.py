"""Which fields are accepted and have no effect yet. Whoever makes one work takes its line out."""

from collections.abc import Iterator
from typing import Final

import msgspec

from nodekit.config import Document, Problem
from pyproxy.config.settings import Settings

_WINDOWS: Final = "this is not Windows"
_LIMITS: Final = "requests to the API are few and not limited"
_IPVS: Final = "there is no ipvs mode"

NO_EFFECT: Final[dict[str, str]] = {
    "clientConnection.acceptContentTypes": "the API is spoken in JSON",
    "clientConnection.contentType": "the API is spoken in JSON",
    "clientConnection.qps": _LIMITS,
    "clientConnection.burst": _LIMITS,
    "enableProfiling": "there is no pprof",
    "showHiddenMetricsForVersion": "no metrics are hidden",
    "ipvs.syncPeriod": _IPVS,
    "ipvs.minSyncPeriod": _IPVS,
    "ipvs.scheduler": _IPVS,
    "ipvs.excludeCIDRs": _IPVS,
    "ipvs.strictARP": _IPVS,
    "ipvs.tcpTimeout": _IPVS,
    "ipvs.tcpFinTimeout": _IPVS,
    "ipvs.udpTimeout": _IPVS,
    "winkernel.networkName": _WINDOWS,
    "winkernel.sourceVip": _WINDOWS,
    "winkernel.enableDSR": _WINDOWS,
    "winkernel.rootHnsEndpointName": _WINDOWS,
    "winkernel.forwardHealthCheckVip": _WINDOWS,
    "windowsRunAsService": _WINDOWS,
    "oomScoreAdj": "the agent leaves its own OOM score alone",
    "configSyncPeriod": "watches heal themselves",
    "portRange": "the field has had no effect for years",
}

_DEFAULTS: Final = Settings()


def warnings(document: Document[Settings]) -> Iterator[Problem]:
    """One for each field that the file sets away from its default in vain."""
    for path, why in NO_EFFECT.items():
        if document.is_set(path) and _value(document.settings, path) != _value(_DEFAULTS, path):
            yield document.problem(path, f"has no effect yet: {why}")


def _value(settings: object, path: str) -> object:
    for name in path.split("."):
        by_name = {entry.encode_name: entry.name for entry in msgspec.structs.fields(type(settings))}  # type: ignore[arg-type]
        settings = getattr(settings, by_name[name])
    return settings
