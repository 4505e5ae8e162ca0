"""Measure Pods on two nodes in turn, ours and the genuine kubelet's: create -> Running, delete -> gone, CPU and memory.

    python -m devcluster --name bench run -- python tests/bench/pods.py --cluster bench --rounds 5 --sizes 1,10,50

Rounds alternate between the nodes and swap which goes first, so a machine whose speed drifts hurts both alike. Pods are
bound by spec.nodeName (no scheduler), run the pause image and mount a service-account token as every Pod does. Needs
a dev cluster whose node --ours runs pykubelet and whose node --genuine the genuine one.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import statistics
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec

from devcluster.api import Cluster
from nodekit.kube import auth
from nodekit.kube.client import Client, Selection
from nodekit.kube.transport import Transport
from nodekit.objects import base, meta, status
from nodekit.objects.resource import Resource

PAUSE = "registry.k8s.io/pause:3.10.2"
_TICKS = os.sysconf("SC_CLK_TCK")
_LIMIT = 180.0


class _Phase(base.Object):
    phase: str = ""


class _Pod(meta.ApiObject):
    spec: dict[str, Any] = {}
    status: _Phase = _Phase()


class _Namespace(meta.ApiObject):
    pass


PODS = Resource(_Pod, "v1", "Pod", "pods")
NAMESPACES = Resource(_Namespace, "v1", "Namespace", "namespaces", namespaced=False)


@dataclasses.dataclass(frozen=True)
class Sample:
    """Seconds from the first request: when each Pod was Running, and when each was gone; the agent's CPU and memory."""

    node: str
    size: int
    running: list[float]
    gone: list[float]
    cpu_start: float
    rss_mib: float


def agent_cpu(pid: int) -> float:
    """CPU seconds a process has used, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def agent_rss(pid: int) -> float:
    """Resident memory in MiB."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(lines["VmRSS"].split()[0]) / 1024


async def _watch(client: Client, namespace: str, seen: dict[str, dict[str, float]], ready: asyncio.Event) -> None:
    listing = await client.list(PODS, Selection(namespace=namespace))
    query = {"resourceVersion": listing.metadata.resource_version, "timeoutSeconds": "600"}
    async with client.watch(PODS, Selection(namespace=namespace), query=query) as lines:
        ready.set()
        async for line in lines:
            event = json.loads(line)
            now, pod = time.monotonic(), event["object"]
            times = seen.setdefault(pod["metadata"]["name"], {})
            if event["type"] == "DELETED":
                times["gone"] = now
            elif pod["status"].get("phase") == "Running":
                times.setdefault("running", now)


async def _until(seen: dict[str, dict[str, float]], names: list[str], what: str) -> None:
    deadline = time.monotonic() + _LIMIT
    while not all(what in seen.get(name, {}) for name in names):
        if time.monotonic() > deadline:
            missing = [name for name in names if what not in seen.get(name, {})]
            raise SystemExit(f"after {_LIMIT:.0f} s {len(missing)} of {len(names)} Pods are not {what}: {missing[:3]}")
        await asyncio.sleep(0.01)


async def measure(client: Client, node: str, size: int, pid: int) -> Sample:
    """One round on one node: `size` Pods at once, all Running, then all deleted and gone."""
    namespace = f"bench-{uuid.uuid4().hex[:6]}"
    await client.create(NAMESPACES, _Namespace(metadata=meta.ObjectMeta(name=namespace)))
    await asyncio.sleep(1)  # the default service account and its ConfigMap are made by controllers in the background
    seen: dict[str, dict[str, float]] = {}
    watching = asyncio.Event()
    watch = asyncio.create_task(_watch(client, namespace, seen, watching))
    try:
        await watching.wait()
        names = [f"p{i}" for i in range(size)]
        spec = {"nodeName": node, "containers": [{"name": "pause", "image": PAUSE}]}
        pods = [_Pod(metadata=meta.ObjectMeta(namespace=namespace, name=name), spec=spec) for name in names]
        cpu = agent_cpu(pid)
        began = time.monotonic()
        await asyncio.gather(*(client.create(PODS, pod) for pod in pods))
        await _until(seen, names, "running")
        cpu_start = (agent_cpu(pid) - cpu) / size
        rss = agent_rss(pid)
        await asyncio.sleep(1)
        deleted = time.monotonic()
        await asyncio.gather(*(client.delete(PODS, pod.key) for pod in pods))
        await _until(seen, names, "gone")
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    await client.delete(NAMESPACES, meta.Key("", namespace), status.DeleteOptions())
    running = sorted(seen[name]["running"] - began for name in names)
    gone = sorted(seen[name]["gone"] - deleted for name in names)
    return Sample(node, size, running, gone, cpu_start, rss)


async def steady_cpu(pid: int, seconds: float) -> float:
    """Cores used by a process over a while."""
    before = agent_cpu(pid)
    await asyncio.sleep(seconds)
    return (agent_cpu(pid) - before) / seconds


def summary(samples: list[Sample], ours: str, genuine: str) -> str:
    """A Markdown table of medians over rounds with ratios ours/genuine."""
    figures = {
        "create -> Running, median Pod (s)": lambda s: statistics.median(s.running),
        "create -> Running, all (s)": lambda s: s.running[-1],
        "delete -> gone, median Pod (s)": lambda s: statistics.median(s.gone),
        "delete -> gone, all (s)": lambda s: s.gone[-1],
        "agent CPU per start (ms)": lambda s: s.cpu_start * 1000,
        "agent RSS (MiB)": lambda s: s.rss_mib,
    }
    rows = ["| Pods at once | figure | ours | genuine | ours/genuine |", "|---|---|---|---|---|"]
    for size in sorted({s.size for s in samples}):
        for title, figure in figures.items():
            if size == 1 and title.endswith("all (s)"):
                continue
            a, b = (
                statistics.median(figure(s) for s in samples if s.node == node and s.size == size)
                for node in (ours, genuine)
            )
            rows.append(
                f"| {size} | {title} | {a:.3g} | {b:.3g} | {a / b:.2f} |"
                if b
                else f"| {size} | {title} | {a:.3g} | 0 | |"
            )
    return "\n".join(rows)


async def run(options: argparse.Namespace) -> int:
    cluster = Cluster(options.cluster)
    pids = {node: cluster.node(node).pid("kubelet") for node in (options.ours, options.genuine)}
    samples: list[Sample] = []
    async with Transport(auth.load(cluster.kubeconfig)) as transport:
        client = Client(transport)
        for node in pids:
            await measure(client, node, 1, pids[node])  # not counted: images and caches warm
        for size in [int(s) for s in options.sizes.split(",")]:
            for round_ in range(options.rounds):
                order = [options.ours, options.genuine]
                for node in order if round_ % 2 == 0 else reversed(order):
                    sample = await measure(client, node, size, pids[node])
                    samples.append(sample)
                    print(
                        f"{node} x{size}: running median {statistics.median(sample.running):.2f} s, all "
                        f"{sample.running[-1]:.2f} s; gone all {sample.gone[-1]:.2f} s",
                        flush=True,
                    )
                    await asyncio.sleep(1)
    idle = {node: await steady_cpu(pid, 20) for node, pid in pids.items()}
    table = summary(samples, options.ours, options.genuine)
    table += f"\n| 0 | agent CPU, idle (cores) | {idle[options.ours]:.4f} | {idle[options.genuine]:.4f} | |"
    print("\n" + table)
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(msgspec.json.encode({"samples": [dataclasses.asdict(s) for s in samples], "idle": idle}))
    out.with_suffix(".md").write_text(table + "\n")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default="n1")
    parser.add_argument("--genuine", default="n2")
    parser.add_argument("--cluster", default="bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="1,10,50")
    parser.add_argument("--out", default="build/bench-pods.json")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
