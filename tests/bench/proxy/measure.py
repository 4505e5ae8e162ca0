"""Measure one proxy once: its start, changes, memory, and the connections it leads."""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.proxy import calls, lab, plan
from tests.bench.proxy.api import SERVICES, SLICES, Api
from tests.bench.proxy.plan import Plan
from tests.contract import apiserver

PROXIES: Final = ("pyproxy", "kube-proxy")
_PAUSE, _QUIET = 0.1, 1.5  # seconds between changes
_QUIET_CHANGES: Final = 5
_WINDOWS: Final = 16
CPUS: Final = frozenset((0,))  # what client and backends share: see calls.on


@dataclass(frozen=True, slots=True)
class Sample:
    """One proxy at one size in one round; seconds, MiB, connections a second."""

    who: str
    size: int
    cold: float
    cold_cpu: float
    sync: float
    swap: list[float]
    quiet: list[float]
    create: list[float]
    delete: list[float]
    cpu: float
    rss: float
    connect: list[float]
    rates: list[float]
    load: float  # of the machine, over the minute before


class Bench:
    """Measures on one ground. The thread is in the client's namespace while it calls."""

    def __init__(self, server: apiserver.Server, api: Api, ground: Plan) -> None:
        self._server = server
        self._api = api
        self._ground = ground
        self._fresh = 10  # the next ClusterIP that nobody had before
        self._behind_last = "bench-b1"
        self._last = ground.cluster_ip(2)
        # Its name comes after all others: it is the last to be listed.
        api.write("zz-last", self._last, [ground.backends["bench-b1"]])

    def measure(self, proxy: str, size: int, *, changes: int, connections: int) -> Sample:
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory() as folder:
            with lab.inside(lab.CLIENT):
                calls.until(self._last, None)
            began = time.perf_counter()
            with lab.proxy(proxy, self._server, Path(folder)) as process:
                with lab.inside(lab.CLIENT):
                    cold = time.perf_counter() - began
                    cold += calls.until(self._last, self._behind_last, every=0.005, limit=400)
                sync = process.first_sync(self._ground.family)  # the genuine one's `nft` still runs when all answers
                time.sleep(2)
                cold_cpu = process.cpu()
                self._api.connect()
                with lab.inside(lab.CLIENT):
                    before = process.cpu()
                    swap = [self._swap(_PAUSE) for _ in range(changes)]
                    cpu = (process.cpu() - before) / changes
                    quiet = [self._swap(_QUIET) for _ in range(_QUIET_CHANGES)]
                    create, delete = zip(*(self._come_and_go() for _ in range(changes)), strict=True)
                    time.sleep(2 * _QUIET)  # the genuine one writes what was deleted a second later
                    with calls.on(CPUS):
                        connect = calls.connect_times(self._last, connections)
                        rates = calls.rates(self._last, _WINDOWS)
                    return Sample(
                        proxy,
                        size,
                        cold,
                        cold_cpu,
                        sync,
                        swap,
                        quiet,
                        list(create),
                        list(delete),
                        cpu,
                        process.rss(),
                        connect,
                        rates,
                        load,
                    )

    def _swap(self, pause: float) -> float:
        """Another endpoint for the same Service: from the API server's answer to the new endpoint's."""
        time.sleep(pause)
        calls.until(self._last, self._behind_last)
        self._behind_last = next(name for name in self._ground.backends if name != self._behind_last)
        endpoints = plan.endpoints([self._ground.backends[self._behind_last]])
        self._api.ask("PATCH", f"{SLICES}/zz-last", {"endpoints": endpoints})
        return calls.until(self._last, self._behind_last)

    def _come_and_go(self) -> tuple[float, float]:
        """A Service on an address never used before, until it answers; then without it, until nothing does."""
        self._fresh += 1
        name, address = f"fresh-{self._fresh}", self._ground.cluster_ip(self._fresh)
        time.sleep(_PAUSE)
        calls.until(address, None)
        self._api.write(name, address, [self._ground.backends["bench-b1"]])
        come = calls.until(address, "bench-b1")
        time.sleep(_PAUSE)
        calls.until(address, "bench-b1")
        self._api.ask("DELETE", f"{SERVICES}/{name}")
        gone = calls.until(address, None)
        self._api.ask("DELETE", f"{SLICES}/{name}")
        return come, gone
