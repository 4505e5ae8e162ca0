"""What a bench writes: a Markdown table of medians with ratios, bar plots (SVG), and both within a page of docs/."""

import datetime
import os
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import matplotlib
from matplotlib import pyplot

_COLUMNS: Final = 4
_LEAST: Final = 0.1  # a logarithmic axis has no zero
_COLOURS: Final = ("#2166ac", "#b2a99a", "#d9d9d9")


class Sampled(Protocol):
    """One look at one side (`who`) at one size."""

    @property
    def who(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def load(self) -> float:
        """Of the machine, over the minute before."""
        ...


S = TypeVar("S", bound=Sampled)


@dataclass(frozen=True, slots=True)
class Figure(Generic[S]):
    """A row of the table for each size, and with `plot` a panel; `read` gives all its values in a sample.

    A panel's axis is logarithmic unless `linear`.
    """

    title: str
    read: Callable[[S], Sequence[float]]
    of: Callable[[Sequence[float]], float] = statistics.median
    plot: str = ""
    linear: bool = False


@dataclass(frozen=True, slots=True)
class Paper(Generic[S]):
    """All that was measured. `sides`: ours, the genuine one it is a ratio to, and perhaps what neither can beat."""

    samples: Sequence[S]
    figures: Sequence[Figure[S]]
    sides: tuple[str, ...]
    sized: str
    """What the sizes count."""

    def value(self, figure: Figure[S], who: str, size: int) -> float | None:
        """One cell; None where it was not measured."""
        values = [value for s in self.samples if (s.who, s.size) == (who, size) for value in figure.read(s)]
        return figure.of(values) if values else None

    @property
    def sizes(self) -> list[int]:
        """Ascending."""
        return sorted({sample.size for sample in self.samples})

    def write(self, out: Path, *, docs: Path | None, name: str) -> None:
        """OUT.md gets the table, OUT.svg the plots; with `docs` its benchmarks.md has both, at the marks of `name`."""
        out.with_suffix(".md").write_text(self.table() + "\n")
        self.plot(out.with_suffix(".svg"))
        if docs is not None:
            put(docs / "benchmarks.md", name=name, text=f"{self.how()}\n\n![plots]({name}.svg)\n\n{self.table()}")
            (docs / f"{name}.svg").write_bytes(out.with_suffix(".svg").read_bytes())

    def how(self) -> str:
        """When, how often and at what load it was measured."""
        rounds = max(Counter((sample.who, sample.size) for sample in self.samples).values())
        loads = [sample.load for sample in self.samples]
        return (
            f"Measured on {datetime.date.today()}, medians of rounds that alternate: {rounds}; {os.cpu_count()} cores, "
            f"1-minute load of the machine {min(loads):.1f} to {max(loads):.1f}, the bench's own included."
        )

    def table(self) -> str:
        """A row for each size and figure that was measured."""
        ours, genuine, *floors = self.sides
        heads = [self.sized, "figure", ours, genuine, "ratio", *(f"{one}, ratio of ours" for one in floors)]
        rows = [heads, ["---"] * len(heads)]
        for size in self.sizes:
            for figure in self.figures:
                cells = [self.value(figure, who, size) for who in self.sides]
                if all(cell is None for cell in cells):
                    continue
                floor = [_text(cell) + _ratio(cells[0], cell, " ({})") for cell in cells[2:]]
                first = [f"{size:,}", figure.title, _text(cells[0]), _text(cells[1]), _ratio(cells[0], cells[1])]
                rows.append([*first, *floor])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def plot(self, path: Path) -> None:
        """A panel for each figure with a `plot`, with the ratio ours/genuine below each size."""
        matplotlib.use("svg")
        # Text stays text, and equal figures make equal files.
        matplotlib.rcParams.update(
            {"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9, "font.family": "sans-serif"}
        )
        panels = [figure for figure in self.figures if figure.plot]
        rows = -(-len(panels) // _COLUMNS)
        size = (3.5 * _COLUMNS, 3 * rows)
        drawing, axes = pyplot.subplots(rows, _COLUMNS, figsize=size, layout="constrained", squeeze=False)
        for axis, figure in zip(axes.flat, panels, strict=False):
            self._panel(axis, figure)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        axes.flat[0].legend(frameon=False, loc="upper left")
        drawing.supxlabel(f"{self.sized}; below: {self.sides[0]} / {self.sides[1]}")
        drawing.savefig(path, metadata={"Date": None}, facecolor="white")

    def _panel(self, axis: pyplot.Axes, figure: Figure[S]) -> None:
        sizes = [size for size in self.sizes if self.value(figure, self.sides[0], size) is not None]
        width = 0.8 / len(self.sides)
        for side, who in enumerate(self.sides):
            values = [self.value(figure, who, size) for size in sizes]
            heights = [value or 0 if figure.linear else max(value or 0, _LEAST) for value in values]
            places = [index + (side - (len(self.sides) - 1) / 2) * width for index in range(len(sizes))]
            bars = axis.bar(places, heights, width * 0.95, color=_COLOURS[side], label=who)
            axis.bar_label(bars, [_text(value) for value in values], fontsize=7, padding=1)
        cells = [(self.value(figure, self.sides[0], s), self.value(figure, self.sides[1], s)) for s in sizes]
        ticks = [f"{size:,}\n{_ratio(*cell, '{}x')}" for size, cell in zip(sizes, cells, strict=True)]
        axis.set_xticks(range(len(sizes)), ticks, fontsize=8)
        axis.set_title(figure.plot, fontsize=10)
        if not figure.linear:
            axis.set_yscale("log")
            axis.set_ylim(bottom=_LEAST)
        axis.margins(y=0.15)
        axis.spines[["top", "right"]].set_visible(False)


def put(page: Path, *, name: str, text: str) -> None:
    """Replace what stands in a page between the marks of that name."""
    begin, end = (f"<!-- written by make {name}: {word} -->" for word in ("begin", "end"))
    before, mark, rest = page.read_text().partition(begin)
    if not mark or end not in rest:
        raise ValueError(f"{page} has no place for {name}: the lines {begin!r} and {end!r} are missing")
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def _ratio(ours: float | None, other: float | None, form: str = "{}") -> str:
    return form.format(f"{ours / other:.2g}") if ours is not None and other else ""


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
