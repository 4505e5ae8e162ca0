"""Metrics in the Prometheus convention: a registry of our own, written out in the format the asker wants."""

import re
from collections.abc import Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

# Source: the buckets that the genuine agents' histograms of seconds mostly have.
SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# Source: prometheus.DefBuckets.
DEFAULT: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


# The genuine agents have no series that tell when each counter began.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Families:
    """Families of metrics that belong together, wherever they are shown."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry()
        self.bare: Final[set[str]] = set()
        """The counters whose names do not end in `_total`."""

    def counter(self, name: str, documentation: str, *, labels: Sequence[str] = (), bare: bool = False) -> Counter:
        """A count that only grows; the `_total` that ends its name is added when it is missing, unless it is `bare`.

        OpenMetrics knows no counter without `_total`: there a bare one has it too, as in the genuine agents.
        """
        if bare:
            self.bare.add(name)
        return Counter(name, documentation, labels, registry=self.registry)

    def gauge(self, name: str, documentation: str, *, labels: Sequence[str] = ()) -> Gauge:
        """A number that goes up and down."""
        return Gauge(name, documentation, labels, registry=self.registry)

    def histogram(
        self, name: str, documentation: str, *, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """How values are spread, by default seconds."""
        return Histogram(name, documentation, labels, buckets=buckets, registry=self.registry)


class Metrics(Families):
    """The metrics of one process, beginning with its own memory, CPU and file descriptors."""

    def __init__(self) -> None:
        super().__init__()
        ProcessCollector(registry=self.registry)

    def include(self, families: Families) -> None:
        """Show these too."""
        self.registry.register(families.registry)
        self.bare.update(families.bare)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their content type: OpenMetrics when the Accept header asks for it, else Prometheus text."""
        encode, content_type = choose_encoder(accept)
        text = encode(self.registry)
        if self.bare and "openmetrics" not in content_type:
            names = "|".join(sorted(self.bare))
            text = re.sub(rf"^((?:# \w+ )?(?:{names}))_total(?=[ {{])".encode(), rb"\1", text, flags=re.M)
        return text, content_type
