"""Decide from a row of probe answers what they say. No I/O."""

import dataclasses
from typing import Final

from pykubelet.model.container import Probe
from pykubelet.model.pod_state import Verdict


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """The last `length` answers were all `ok`, or all not."""

    ok: bool = False
    length: int = 0


START: Final = Row()


def counted(row: Row, ok: bool) -> Row:
    """The row with one more answer."""
    return Row(ok, row.length + 1 if ok is row.ok else 1)


def of(row: Row, probe: Probe) -> Verdict | None:
    """The verdict a row has reached; None while it is too short to change anything."""
    enough = probe.success_threshold if row.ok else probe.failure_threshold
    if row.length < max(enough, 1):
        return None
    return Verdict.SUCCESS if row.ok else Verdict.FAILURE
