"""Counts what is asked of the server, under the genuine kubelet's names.

Source: K/pkg/kubelet/server/metrics/metrics.go.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from nodekit.metrics import Metrics

_PATHS: Final = frozenset(
    {
        *(
            "healthz",
            "pods",
            "stats",
            "metrics",
            "metrics/cadvisor",
            "metrics/probes",
            "metrics/resource",
            "run",
            "exec",
        ),
        *("attach", "portForward", "containerLogs", "configz", "runningpods", "checkpoint", "logs", "debug"),
        *("flagz", "statusz"),
    }
)
_METHODS: Final = frozenset({"OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT"})
_LONG: Final = frozenset({"exec", "attach", "debug"})
_LABELS: Final = ("method", "path", "server_type", "long_running")
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def bucket(path: str) -> str:
    """What a path is counted under: its first part, and the second of metrics."""
    first, _, rest = path.removeprefix("/").partition("/")
    found = f"{first}/{rest.partition('/')[0]}" if first == "metrics" and rest else first
    return found if found in _PATHS else "other"


class Traffic:
    """The counts, in the process's registry."""

    def __init__(self, metrics: Metrics) -> None:
        self._requests = metrics.counter(
            "kubelet_http_requests_total",
            "Number of the http requests received since the server started",
            labels=_LABELS,
        )
        self._seconds = metrics.histogram(
            "kubelet_http_requests_duration_seconds",
            "Duration in seconds to serve http requests",
            labels=_LABELS,
            buckets=_SECONDS,
        )
        self._inflight = metrics.gauge(
            "kubelet_http_inflight_requests", "Number of the inflight http requests", labels=_LABELS
        )
        self._websockets = metrics.counter(
            "kubelet_websocket_streaming_requests_total",
            "Total number of WebSocket streaming requests (exec/attach/portforward) received by the kubelet.",
            labels=("subresource",),
        )

    @contextlib.contextmanager
    def request(self, method: str, path: str, *, guarded: bool) -> Iterator[None]:
        """One request is served within."""
        where = bucket(path)
        kind = "readwrite" if guarded else "readonly"
        labels = (method if method in _METHODS else "other", where, kind, str(where in _LONG).lower())
        self._requests.labels(*labels).inc()
        inflight, began = self._inflight.labels(*labels), time.monotonic()
        inflight.inc()
        try:
            yield
        finally:
            inflight.dec()
            self._seconds.labels(*labels).observe(time.monotonic() - began)

    def websocket(self, subresource: str) -> None:
        """A WebSocket was asked for exec, attach or portforward."""
        self._websockets.labels(subresource).inc()
