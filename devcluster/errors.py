"""The one error a person sees: which step failed, why, and where its log is."""

from __future__ import annotations

from pathlib import Path

_TAIL_LINES = 15


class DevClusterError(Exception):
    """A step that could not be done.

    `what` names the step, `why` the cause in one sentence, `log` the file that tells more, `hint` what to do next.
    """

    def __init__(self, what: str, why: str, *, log: Path | None = None, hint: str = "") -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.log = log
        self.hint = hint

    def report(self) -> str:
        """Several lines for the terminal, with the end of the log."""
        lines = [f"{self.what} failed: {self.why}"]
        if self.hint:
            lines.append(f"  what to do: {self.hint}")
        if self.log is not None:
            lines.append(f"  its log: {self.log}")
            lines += [f"    | {line}" for line in tail(self.log)]
        return "\n".join(lines)


def tail(path: Path, lines: int = _TAIL_LINES) -> list[str]:
    """The last lines of a log file; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            size = file.tell()
            file.seek(max(0, size - 64 * 1024))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line[:400] for line in text.splitlines()[-lines:]]
