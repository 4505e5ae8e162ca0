"""Churn and faults by a seed, and the verdict: nobody refused that would not have been, and all agrees at the end."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.proxy import faults
from tests.chaos.proxy.ground import Ground, Load

RATE: Final = 50.0  # changes a second
SETTLED_WITHIN: Final = 60.0  # seconds after the last fault


@dataclass
class Verdict:
    """What a run showed."""

    seed: int
    changes: int = 0
    seconds: float = 0
    faults: dict[str, int] = field(default_factory=dict)
    exits: list[int] = field(default_factory=list)
    baseline: Load = field(default_factory=Load)
    load: Load = field(default_factory=Load)
    differences: str = ""
    wrong_answers: list[str] = field(default_factory=list)
    settled: float = 0

    @property
    def good(self) -> bool:
        """No more failures for the connections there were than without faults, and the API's truth in the kernel."""
        allowed = len(self.baseline.failures) / max(self.baseline.connections, 1) * self.load.connections
        return len(self.load.failures) <= allowed and not self.differences and not self.wrong_answers

    def lines(self) -> list[str]:
        """The verdict in words."""
        named = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        told = [
            f"seed {self.seed}: {self.changes} changes in {self.seconds:.0f} s, "
            f"{self.changes / max(self.seconds, 1):.0f}/s",
            f"faults: {named}; the agent ended {len(self.exits)} times, with codes {sorted(set(self.exits))}",
        ]
        for name, load in (("without faults", self.baseline), ("with faults", self.load)):
            told.append(
                f"{name}: {load.connections} connections, {len(load.failures)} failed, "
                f"{load.second_try} took more than one SYN"
            )
            told += [f"  {address}: {what}, {_clock(when)}" for when, address, what in load.failures[:20]]
        told.append(f"the kernel had the API's truth {self.settled:.1f} s after the end" if not self.differences else
                    f"the kernel differs from the API:\n{self.differences}")  # fmt: skip
        return [*told, *self.wrong_answers, "all is well" if self.good else "NOT WELL"]


class _Churn:
    """Changes at a steady rate in a thread; it waits while there is no API server, and catches up a little."""

    def __init__(self, ground: Ground, seed: str) -> None:
        self._ground, self._chance = ground, random.Random(seed)
        self._stop = threading.Event()
        self.changes = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "_Churn":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            try:
                with self._ground.turn:
                    self._ground.change(self._chance)
            except Exception as error:  # told where the block ends
                self._error = error
                return
            self.changes += 1
            due = max(due + 1 / RATE, time.monotonic() - 5)
            self._stop.wait(max(0.0, due - time.monotonic()))


def run(
    ground: Ground,
    *,
    seed: int,
    seconds: float,
    baseline: float,
    chosen: tuple[faults.Fault, ...] = faults.ALL,
    tell: Callable[[str], None] = print,
) -> Verdict:
    """A time without faults, a time with the `chosen` ones, and a look at what is left."""
    verdict = Verdict(seed)
    with ground.load(seed) as verdict.baseline, _Churn(ground, f"{seed} baseline"):
        time.sleep(baseline)
    tell(f"without faults: {verdict.baseline.connections} connections, {len(verdict.baseline.failures)} failed")
    began = time.monotonic()
    with ground.load(seed + 1) as verdict.load, _Churn(ground, f"{seed} churn") as churn:
        for when, fault, own in faults.plan(random.Random(f"{seed} faults"), seconds, chosen):
            time.sleep(max(0.0, began + when - time.monotonic()))
            if time.monotonic() - began > seconds:
                break
            tell(f"{time.monotonic() - began:6.1f} s  {fault.__name__}")
            fault(ground, random.Random(own))
            verdict.faults[fault.__name__] = verdict.faults.get(fault.__name__, 0) + 1
        time.sleep(max(0.0, began + seconds - time.monotonic()))
    verdict.changes, verdict.seconds = churn.changes, time.monotonic() - began
    ended = time.monotonic()
    verdict.differences = ground.converged(SETTLED_WITHIN)
    verdict.settled = time.monotonic() - ended
    verdict.wrong_answers = ground.wrong_answers()
    verdict.exits = list(ground.agent.exits)
    return verdict


def _clock(when: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(when)) + f".{int(when * 1000) % 1000:03}"
