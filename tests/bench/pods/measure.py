"""Measure Pods of one node: how long until they run, are gone, and are said to have ended; what its kubelet uses."""

import asyncio
import contextlib
import json
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devcluster.api import Cluster, Node
from nodekit.kube.client import Client, Selection
from nodekit.objects import base, meta, status
from nodekit.objects.resource import Resource

PAUSE: Final = "registry.k8s.io/pause:3.10.2"
STEADY: Final = 100
"""Pods that a node only has, while its kubelet is watched."""
_CPUCLOCK_SCHED: Final = 2
_LIMIT: Final = 240.0
_STEADY_SECONDS: Final = 30.0
_EXITS: Final = 2


class _Status(base.Object):
    phase: str = ""


class _Pod(meta.ApiObject):
    spec: dict[str, Any] = {}
    status: _Status = _Status()


class _Namespace(meta.ApiObject):
    pass


PODS: Final = Resource(_Pod, "v1", "Pod", "pods")
NAMESPACES: Final = Resource(_Namespace, "v1", "Namespace", "namespaces", namespaced=False)


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of `size` Pods at once. Seconds from the first request, for each Pod; CPU seconds; MiB.

    Without an agent (`who` is FLOOR) `cpu` and `rss` are empty. `load` is the machine's over the minute before.
    """

    who: str
    size: int
    load: float
    running: list[float]
    gone: list[float]
    exits: list[float]
    """From a container's death to the Pod's phase Failed."""
    cpu: list[float]
    """Of the agent, for each Pod started."""
    rss: list[float]
    cores: list[float]
    """Of the agent while STEADY Pods just run; then `rss` is of that time, too."""


class Agent:
    """A kubelet of one node, and the Pods on it."""

    def __init__(self, client: Client, cluster: Cluster, node: str, who: str) -> None:
        self._client = client
        self._node: Node = cluster.node(node)
        self._name = node
        self._who = who

    async def burst(self, size: int) -> Sample:
        """`size` Pods at once, all Running, then all deleted and gone; a single one also dies by itself."""
        load = os.getloadavg()[0]
        async with self._pods(size) as pods:
            cpu = self._cpu()
            running = await pods.start()
            cpu, rss = (self._cpu() - cpu) / size, self._rss()
            await asyncio.sleep(1)
            gone = await pods.delete()
        exits = [await self._exit() for _ in range(_EXITS)] if size == 1 else []
        return Sample(self._who, size, load, running, gone, exits, [cpu], [rss], [])

    async def steady(self) -> Sample:
        """STEADY Pods that just run."""
        load = os.getloadavg()[0]
        async with self._pods(STEADY) as pods:
            running = await pods.start()
            await asyncio.sleep(10)  # statuses and events are told to their end
            cpu = self._cpu()
            await asyncio.sleep(_STEADY_SECONDS)
            cores, rss = (self._cpu() - cpu) / _STEADY_SECONDS, self._rss()
            gone = await pods.delete()
        return Sample(self._who, STEADY, load, running, gone, [], [], [rss], [cores])

    async def _exit(self) -> float:
        """A container that is killed: how long until the Pod is said to have failed."""
        before = set(self._tasks())
        async with self._pods(1, restart_policy="Never") as pods:
            await pods.start()
            await asyncio.sleep(1)
            tasks = self._tasks()
            # The sandbox and the container; the container's is younger.
            victim = max(pid for name, pid in tasks.items() if name not in before)
            began = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            failed = await pods.seen("Failed")
            await pods.delete()
        return failed[0] - began

    @contextlib.asynccontextmanager
    async def _pods(self, size: int, *, restart_policy: str = "Always") -> AsyncIterator["_Pods"]:
        spec = {
            "nodeName": self._name,
            "restartPolicy": restart_policy,
            "containers": [{"name": "pause", "image": PAUSE}],
        }
        made = _Pods(self._client, [f"p{number}" for number in range(size)], spec)
        async with made.watched():
            yield made

    def _tasks(self) -> dict[str, int]:
        """containerd's tasks: id -> pid."""
        rows = (line.split() for line in self._node.ctr("tasks", "list").splitlines()[1:])
        return {row[0]: int(row[1]) for row in rows if row[1] != "0"}

    def _cpu(self) -> float:
        """CPU seconds the agent has used, with all its threads: the process clock of clock_getcpuclockid(3)."""
        return time.clock_gettime(~self._node.pid("kubelet") << 3 | _CPUCLOCK_SCHED)

    def _rss(self) -> float:
        """Resident memory in MiB."""
        text = Path(f"/proc/{self._node.pid('kubelet')}/status").read_text()
        lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        return int(lines["VmRSS"].split()[0]) / 1024


class _Pods:
    """Alike Pods in a namespace of their own, watched while they come and go."""

    def __init__(self, client: Client, names: list[str], spec: dict[str, Any]) -> None:
        self._client = client
        self._names = names
        self._namespace = f"bench-{uuid.uuid4().hex[:6]}"
        self._spec = spec
        self._seen: dict[str, dict[str, float]] = {name: {} for name in names}
        self._news = asyncio.Event()

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        await self._client.create(NAMESPACES, _Namespace(metadata=meta.ObjectMeta(name=self._namespace)))
        await asyncio.sleep(
            1
        )  # the default service account and its ConfigMap are made by controllers in the background
        listing = await self._client.list(PODS, Selection(namespace=self._namespace))
        watch = asyncio.create_task(self._watch(listing.metadata.resource_version))
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        await self._client.delete(NAMESPACES, meta.Key("", self._namespace), status.DeleteOptions())

    async def start(self) -> list[float]:
        """Bind them all to the node; seconds until each was Running."""
        pods = [
            _Pod(metadata=meta.ObjectMeta(namespace=self._namespace, name=name), spec=self._spec)
            for name in self._names
        ]
        began = time.monotonic()
        await asyncio.gather(*(self._client.create(PODS, pod) for pod in pods))
        return sorted(at - began for at in await self.seen("Running"))

    async def delete(self) -> list[float]:
        """Delete them all; seconds until each was gone."""
        began = time.monotonic()
        keys = [meta.Key(self._namespace, name) for name in self._names]
        await asyncio.gather(*(self._client.delete(PODS, key) for key in keys))
        return sorted(at - began for at in await self.seen("gone"))

    async def seen(self, what: str) -> list[float]:
        """When each of them was first seen so (a phase, or `gone`), in the time of time.monotonic."""
        async with asyncio.timeout(_LIMIT):
            while missing := [name for name in self._names if what not in self._seen[name]]:
                self._news.clear()
                await self._news.wait()
        assert not missing
        return [self._seen[name][what] for name in self._names]

    async def _watch(self, version: str) -> None:
        query = {"resourceVersion": version, "timeoutSeconds": "900"}
        async with self._client.watch(PODS, Selection(namespace=self._namespace), query=query) as lines:
            async for line in lines:
                now, event = time.monotonic(), json.loads(line)
                pod = event["object"]
                what = "gone" if event["type"] == "DELETED" else pod["status"].get("phase", "")
                self._seen[pod["metadata"]["name"]].setdefault(what, now)
                self._news.set()
