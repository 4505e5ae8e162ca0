"""Say what is going on: each step with its time so far and an estimate from the last time it was done.

On a terminal the running steps are redrawn in place; elsewhere each start and end is a line.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from devcluster import layout

_LONG = 3.0  # seconds from which a step is announced with an estimate


def _timings_file() -> Path:
    return layout.cache_home() / "timings.json"


@dataclass(slots=True)
class Reporter:
    """Prints steps; usable from several threads. `quiet` prints nothing but what `say` is given."""

    console: Console = field(default_factory=lambda: Console(file=sys.stderr, highlight=False))
    quiet: bool = False
    _live: Progress | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _timings: dict[str, float] | None = None

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Redraw running steps in place while this is open, if there is a terminal."""
        if self.quiet or not self.console.is_terminal:
            yield
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[time]}"),
        )
        self._live = Progress(*columns, console=self.console, transient=True)
        try:
            with self._live:
                yield
        finally:
            self._live = None

    @contextlib.contextmanager
    def step(self, title: str, *, about: float = 0) -> Iterator[None]:
        """One step; `about` is an estimate in seconds for when it has never been timed on this machine."""
        estimate = self._estimate(title, about)
        started = time.monotonic()
        with self._shown(title, estimate, started):
            yield
        took = time.monotonic() - started
        self._remember(title, took)
        self._line(f"[green]✓[/] {title} [dim]{took:.1f} s[/]")

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)

    def _line(self, text: str) -> None:
        if not self.quiet:
            self.console.print(text, soft_wrap=True)

    @contextlib.contextmanager
    def _shown(self, title: str, estimate: float, started: float) -> Iterator[None]:
        if self.quiet or self._live is None:
            if estimate >= _LONG:
                self._line(f"[dim]…[/] {title} [dim](about {spell(estimate)})[/]")
            yield
            return
        live = self._live
        task = live.add_task(title, total=max(estimate, 0.1), time="")
        done = threading.Event()
        drawer = threading.Thread(
            target=_draw, args=(live, task, started, estimate, done), daemon=True, name="progress"
        )
        drawer.start()
        try:
            yield
        finally:
            done.set()
            drawer.join()
            live.remove_task(task)

    def _estimate(self, title: str, about: float) -> float:
        with self._lock:
            if self._timings is None:
                try:
                    self._timings = dict(json.loads(_timings_file().read_bytes()))
                except (OSError, ValueError):
                    self._timings = {}
            return self._timings.get(title, about)

    def _remember(self, title: str, took: float) -> None:
        with self._lock:
            if self._timings is None or took < _LONG:
                return
            self._timings[title] = round(took, 1)
            with contextlib.suppress(OSError):
                _timings_file().parent.mkdir(parents=True, exist_ok=True)
                _timings_file().write_text(json.dumps(self._timings, indent=1))


def _draw(live: Progress, task: TaskID, started: float, estimate: float, done: threading.Event) -> None:
    while not done.wait(0.2):
        spent = time.monotonic() - started
        rest = f" of about {spell(estimate)}" if estimate >= _LONG else ""
        live.update(task, completed=min(spent, estimate * 0.98), time=f"{spent:.0f} s{rest}")


def spell(seconds: float) -> str:
    """42 -> 42 s, 150 -> 2 min 30 s."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
