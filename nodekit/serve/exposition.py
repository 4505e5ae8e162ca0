"""Samples with their own times, in the Prometheus text format."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(slots=True)
class Family:
    """All samples of one name; `kind` is counter or gauge."""

    name: str
    kind: str
    help: str
    lines: list[str] = field(default_factory=list)

    def add(self, value: float, labels: Mapping[str, str] | None = None, *, at: float | None = None) -> None:
        """One sample, measured at that many seconds after the epoch; None leaves the time out."""
        pairs = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in sorted((labels or {}).items()))
        number = str(int(value)) if value == int(value) else repr(value)
        when = f" {int(at * 1000)}" if at is not None else ""
        self.lines.append(f"{self.name}{{{pairs}}} {number}{when}" if pairs else f"{self.name} {number}{when}")


def text(families: Iterable[Family]) -> bytes:
    """The families that have samples, in order of their names."""
    parts = [
        "\n".join((f"# HELP {one.name} {one.help}", f"# TYPE {one.name} {one.kind}", *one.lines, ""))
        for one in sorted(families, key=lambda family: family.name)
        if one.lines
    ]
    return "".join(parts).encode()
