"""Samples as a table and as plots. Figures are medians (or 99th percentiles) over the samples of all rounds."""

import datetime
import os
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib
from matplotlib import pyplot

from tests.bench.proxy.measure import PROXIES, Sample

BEGIN: Final = "<!-- written by make bench-proxy: begin -->"
END: Final = "<!-- written by make bench-proxy: end -->"
_LEAST: Final = 0.1  # a logarithmic axis has no zero
_COLOURS: Final = {"pyproxy": "#2166ac", "kube-proxy": "#b2a99a"}


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table, and with `plot` a panel; `read` gives all its values in a sample."""

    title: str
    read: Callable[[Sample], Sequence[float]]
    of: Callable[[Sequence[float]], float] = statistics.median
    plot: str = ""


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def _scaled(read: Callable[[Sample], Sequence[float]], factor: float) -> Callable[[Sample], Sequence[float]]:
    return lambda sample: [value * factor for value in read(sample)]


FIGURES: Final = (
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
    Figure("RSS (MiB)", lambda s: [s.rss], plot="RSS, MiB"),
    Figure("TCP connect through a ClusterIP, p50 (us)", _scaled(lambda s: s.connect, 1e6), plot="TCP connect, p50, us"),
    Figure("TCP connect through a ClusterIP, p99 (us)", _scaled(lambda s: s.connect, 1e6), _p99),
    Figure("short connections per second", lambda s: [s.throughput], plot="short connections per second"),
)


def line(sample: Sample) -> str:
    """What a look at a terminal tells of a sample."""
    swap, create, delete = (statistics.median(one) * 1000 for one in (sample.swap, sample.create, sample.delete))
    return (
        f"{sample.proxy} {sample.size}: cold {sample.cold:.2f} s (cpu {sample.cold_cpu:.2f}, sync {sample.sync:.2f}), "
        f"swap {swap:.1f}, create {create:.1f}, delete {delete:.1f} ms, cpu {sample.cpu * 1000:.1f} ms, "
        f"RSS {sample.rss:.0f} MiB, connect {statistics.median(sample.connect) * 1e6:.0f} us, "
        f"{sample.throughput:.0f} connections/s"
    )


def write(samples: Sequence[Sample], out: Path, *, docs: Path | None) -> None:
    """The table and the plots at OUT.md and OUT.svg; in `docs` the table within benchmarks.md, between its marks."""
    table = _table(samples)
    out.with_suffix(".md").write_text(table + "\n")
    _plot(samples, out.with_suffix(".svg"))
    if docs is not None:
        page = docs / "benchmarks.md"
        before, _, rest = page.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        page.write_text(f"{before}{BEGIN}\n{_how(samples)}\n\n![plots](bench-proxy.svg)\n\n{table}\n{END}{after}")
        (docs / "bench-proxy.svg").write_bytes(out.with_suffix(".svg").read_bytes())


def _how(samples: Sequence[Sample]) -> str:
    rounds = max(Counter((sample.proxy, sample.size) for sample in samples).values())
    loads = [sample.load for sample in samples]
    return (
        f"Measured on {datetime.date.today()}, rounds: {rounds}; {os.cpu_count()} cores, "
        f"which other work loaded too: 1-minute load {min(loads):.1f} to {max(loads):.1f}."
    )


def _value(samples: Sequence[Sample], figure: Figure, proxy: str, size: int) -> float | None:
    values = [value for s in samples if (s.proxy, s.size) == (proxy, size) for value in figure.read(s)]
    return figure.of(values) if values else None


def _table(samples: Sequence[Sample]) -> str:
    rows = ["| Services | figure | pyproxy | kube-proxy | ratio |", "|---|---|---|---|---|"]
    for size in sorted({sample.size for sample in samples}):
        for figure in FIGURES:
            ours, genuine = (_value(samples, figure, proxy, size) for proxy in PROXIES)
            ratio = f"{ours / genuine:.2g}" if ours is not None and genuine else ""
            rows.append(f"| {size:,} | {figure.title} | {_text(ours)} | {_text(genuine)} | {ratio} |")
    return "\n".join(rows)


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _plot(samples: Sequence[Sample], path: Path) -> None:
    matplotlib.use("svg")
    # Text stays text, and equal figures make equal files.
    matplotlib.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9, "font.family": "sans-serif"}
    )
    panels = [figure for figure in FIGURES if figure.plot]
    sizes = sorted({sample.size for sample in samples})
    drawing, axes = pyplot.subplots(2, 4, figsize=(14, 6), layout="constrained")
    for axis, figure in zip(axes.flat, panels, strict=True):
        for side, proxy in enumerate(PROXIES):
            values = [_value(samples, figure, proxy, size) for size in sizes]
            places = [index + (side - 0.5) * 0.4 for index in range(len(sizes))]
            heights = [max(value or 0, _LEAST) for value in values]
            bars = axis.bar(places, heights, 0.38, color=_COLOURS[proxy], label=proxy)
            axis.bar_label(bars, [_text(value) for value in values], fontsize=7, padding=1)
        ticks = [_tick(samples, figure, size) for size in sizes]
        axis.set_xticks(range(len(sizes)), ticks, fontsize=8)
        axis.set_title(figure.plot, fontsize=10)
        if figure.plot not in ("RSS, MiB", "TCP connect, p50, us", "short connections per second"):
            axis.set_yscale("log")
            axis.set_ylim(bottom=_LEAST)
        axis.margins(y=0.12)
        axis.spines[["top", "right"]].set_visible(False)
    axes.flat[0].legend(frameon=False, loc="upper left")
    drawing.supxlabel("Services, 3 endpoints each; below: pyproxy / kube-proxy")
    drawing.savefig(path, metadata={"Date": None}, facecolor="white")


def _tick(samples: Sequence[Sample], figure: Figure, size: int) -> str:
    ours, genuine = (_value(samples, figure, proxy, size) for proxy in PROXIES)
    ratio = f"{ours / genuine:.2g}x" if ours is not None and genuine else ""
    return f"{size:,}\n{ratio}"
