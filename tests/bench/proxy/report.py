"""Samples as a table and as plots. Figures are medians (or 99th percentiles) over the samples of all rounds."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.bench.paper import Figure, Paper
from tests.bench.proxy.measure import PROXIES, Sample


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def _spread(values: Sequence[float]) -> float:
    ordered = sorted(values)
    tenth = len(ordered) // 10
    return (ordered[-1 - tenth] - ordered[tenth]) / statistics.median(ordered) * 100


def _scaled(read: Callable[[Sample], Sequence[float]], factor: float) -> Callable[[Sample], Sequence[float]]:
    return lambda sample: [value * factor for value in read(sample)]


FIGURES: Final[tuple[Figure[Sample], ...]] = (
    Figure("cold load: process start to the last Service's answer (s)", lambda s: [s.cold], plot="cold load, s"),
    Figure("CPU of the start (s)", lambda s: [s.cold_cpu]),
    Figure("its first full sync (s)", lambda s: [s.sync]),
    Figure(
        "endpoint swap to answer, p50 (ms)", _scaled(lambda s: s.swap, 1e3), plot="endpoint swap to answer, p50, ms"
    ),
    Figure("endpoint swap to answer, p99 (ms)", _scaled(lambda s: s.swap, 1e3), _p99),
    Figure("the same after 1.5 s without a change, p50 (ms)", _scaled(lambda s: s.quiet, 1e3)),
    Figure("create to answer, p50 (ms)", _scaled(lambda s: s.create, 1e3), plot="create to answer, p50, ms"),
    Figure("create to answer, p99 (ms)", _scaled(lambda s: s.create, 1e3), _p99),
    Figure("delete to silence, p50 (ms)", _scaled(lambda s: s.delete, 1e3), plot="delete to silence, p50, ms"),
    Figure("delete to silence, p99 (ms)", _scaled(lambda s: s.delete, 1e3), _p99),
    Figure("CPU per swap (ms)", lambda s: [s.cpu * 1e3], plot="CPU per swap, ms"),
    Figure("RSS (MiB)", lambda s: [s.rss], plot="RSS, MiB", linear=True),
    Figure(
        "TCP connect through a ClusterIP, p50 (us)",
        _scaled(lambda s: s.connect, 1e6),
        plot="TCP connect, p50, us",
        linear=True,
    ),
    Figure("TCP connect through a ClusterIP, p99 (us)", _scaled(lambda s: s.connect, 1e6), _p99),
    Figure("short connections per second", lambda s: s.rates, plot="short connections per second", linear=True),
    Figure("their spread: from the slowest tenth of the windows to the fastest (%)", lambda s: s.rates, _spread),
)


def line(sample: Sample) -> str:
    """What a look at a terminal tells of a sample."""
    swap, create, delete = (statistics.median(one) * 1000 for one in (sample.swap, sample.create, sample.delete))
    return (
        f"{sample.who} {sample.size}: cold {sample.cold:.2f} s (cpu {sample.cold_cpu:.2f}, sync {sample.sync:.2f}), "
        f"swap {swap:.1f}, create {create:.1f}, delete {delete:.1f} ms, cpu {sample.cpu * 1000:.1f} ms, "
        f"RSS {sample.rss:.0f} MiB, connect {statistics.median(sample.connect) * 1e6:.0f} us, "
        f"{statistics.median(sample.rates):.0f} connections/s ({min(sample.rates):.0f} to {max(sample.rates):.0f})"
    )


def write(samples: Sequence[Sample], out: Path, *, docs: Path | None) -> None:
    """The table and the plots at OUT.md and OUT.svg; in `docs` both within benchmarks.md, between its marks."""
    made = Paper(samples, FIGURES, PROXIES, "Services of 3 endpoints")
    made.write(out, docs=docs, name="bench-proxy")
