"""Pods on a node of ours, on one of the genuine kubelet's, and through the CRI alone, in turn on the same machine.

    python -m devcluster --name bench run -- python -m tests.bench.pods --cluster bench --rounds 5 --sizes 1,10,50

Pods are bound by spec.nodeName (no scheduler), run the pause image and mount a service-account token as every Pod does.
Rounds alternate and swap who goes first, so a machine whose speed drifts hurts all alike. Needs a dev cluster whose
node --ours runs pykubelet, --genuine the genuine kubelet, and --bare none. All samples go to OUT.json, the table to
OUT.md and the plots to OUT.svg; with --docs the table also into that folder's benchmarks.md and the plots beside it.
"""

import argparse
import asyncio
import dataclasses
import json
import statistics
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from devcluster.api import Cluster
from nodekit.kube import auth
from nodekit.kube.client import Client
from nodekit.kube.transport import Transport
from tests.bench.paper import Figure, Paper
from tests.bench.pods.floor import FLOOR, Floor
from tests.bench.pods.measure import Agent, Sample

OURS, GENUINE = "pykubelet", "kubelet"

FIGURES: Final[tuple[Figure[Sample], ...]] = (
    Figure(
        "create -> Running, median Pod (s)",
        lambda s: [statistics.median(s.running)],
        plot="create -> Running, median Pod, s",
        linear=True,
    ),
    Figure("create -> Running, all (s)", lambda s: s.running[-1:], plot="create -> Running, all, s", linear=True),
    Figure(
        "delete -> gone, median Pod (s)",
        lambda s: [statistics.median(s.gone)],
        plot="delete -> gone, median Pod, s",
        linear=True,
    ),
    Figure("delete -> gone, all (s)", lambda s: s.gone[-1:], plot="delete -> gone, all, s", linear=True),
    Figure(
        "death of a container -> Failed (s)", lambda s: s.exits, plot="death of a container -> Failed, s", linear=True
    ),
    Figure(
        "agent CPU per start (ms)", lambda s: [c * 1000 for c in s.cpu], plot="agent CPU per start, ms", linear=True
    ),
    Figure("agent RSS (MiB)", lambda s: s.rss, plot="agent RSS, MiB", linear=True),
    Figure("agent CPU, Pods just running (cores)", lambda s: s.cores),
)


async def measure(options: argparse.Namespace, keep: Callable[[Sample], None]) -> None:
    cluster = Cluster(options.cluster)
    async with Transport(auth.load(cluster.kubeconfig)) as transport:
        client = Client(transport)
        ours, genuine = Agent(client, cluster, options.ours, OURS), Agent(client, cluster, options.genuine, GENUINE)
        floor = Floor(cluster, options.bare)
        sides: list[Callable[[int], Awaitable[Sample]]] = [ours.burst, genuine.burst, floor.burst]
        for burst in sides:
            await burst(1)  # not counted: images and caches warm
        for size in options.sizes:
            for number in range(options.rounds):
                turn = number % len(sides)
                for burst in [*sides[turn:], *sides[:turn]]:
                    keep(await burst(size))
                    await asyncio.sleep(1)
        for agent in (ours, genuine) if options.steady else ():
            keep(await agent.steady())


def line(sample: Sample) -> str:
    """What a look at a terminal tells of a sample."""
    told = f"{sample.who} x{sample.size}: running median {statistics.median(sample.running):.2f} s, all "
    told += f"{sample.running[-1]:.2f} s; gone all {sample.gone[-1]:.2f} s"
    if sample.exits:
        told += f"; death told after {statistics.median(sample.exits) * 1000:.0f} ms"
    if sample.cpu:
        told += f"; CPU per start {sample.cpu[0] * 1000:.1f} ms"
    return told + "".join(f"; {cores:.4f} cores steady, {sample.rss[0]:.0f} MiB" for cores in sample.cores)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default="n1")
    parser.add_argument("--genuine", default="n2")
    parser.add_argument("--bare", default="n3")
    parser.add_argument("--cluster", default="bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="1,10,50", type=lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--steady", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, default=Path("build/bench-pods"))
    parser.add_argument("--docs", type=Path)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []

    def keep(sample: Sample) -> None:
        samples.append(sample)
        print(line(sample), file=sys.stderr, flush=True)
        options.out.with_suffix(".json").write_text(json.dumps([dataclasses.asdict(one) for one in samples]))

    asyncio.run(measure(options, keep))
    made = Paper(samples, FIGURES, (OURS, GENUINE, FLOOR), "Pods at once")
    made.write(options.out, docs=options.docs, name="bench")
    print(options.out.with_suffix(".md").read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
