"""The floor: the same Pods through the CRI alone, with no API server and no kubelet, at the best concurrency."""

import asyncio
import os
import time
import uuid
from typing import Final

from devcluster.api import Cluster
from pykubelet.cri import channel
from pykubelet.cri.images import Images
from pykubelet.cri.runtime import Runtime
from pykubelet.model.ids import SandboxId, Uid
from pykubelet.model.runtime_config import (
    ContainerSpec,
    DNSConfig,
    ImageSpec,
    Mount,
    ProfileType,
    SandboxSecurity,
    SandboxSpec,
    SecurityProfile,
)
from tests.bench.pods.measure import PAUSE, Sample

FLOOR: Final = "containerd alone"
_AT_ONCE: Final = 6
"""More or fewer, from 4 on, take as long in all; with more each single one is later."""


class Floor:
    """The containerd of a node that has no kubelet."""

    def __init__(self, cluster: Cluster, node: str) -> None:
        there = cluster.node(node)
        self._endpoint = f"unix://{there.containerd_socket}"
        self._cgroup = f"{there.cgroup_root}/floor"

    async def burst(self, size: int) -> Sample:
        """`size` Pods: each counts as running when StartContainer has answered, as gone when its sandbox is removed."""
        load = os.getloadavg()[0]
        opened = channel.open_channel(self._endpoint)
        try:
            runtime, turns = Runtime(opened, timeout=120), asyncio.Semaphore(_AT_ONCE)
            images, pause = Images(opened), ImageSpec(image=PAUSE)
            if await images.image_status(pause) is None:
                await images.pull_image(pause)
            made: list[SandboxId] = []

            async def start() -> float:
                async with turns:
                    made.append(await self._start(runtime))
                return time.monotonic()

            async def stop(sandbox: SandboxId) -> float:
                async with turns:
                    await runtime.stop_sandbox(sandbox)
                    await runtime.remove_sandbox(sandbox)
                return time.monotonic()

            began = time.monotonic()
            running = sorted(at - began for at in await asyncio.gather(*(start() for _ in range(size))))
            await asyncio.sleep(1)
            began = time.monotonic()
            gone = sorted(at - began for at in await asyncio.gather(*map(stop, made)))
        finally:
            await opened.close()
        return Sample(FLOOR, size, load, running, gone, [], [], [], [])

    async def _start(self, runtime: Runtime) -> SandboxId:
        name = f"floor-{uuid.uuid4().hex[:12]}"
        sandbox = SandboxSpec(
            name=name,
            namespace="floor",
            uid=Uid(name),
            hostname=name,
            log_directory=f"/var/log/pods/{name}",
            dns=DNSConfig(servers=("198.18.64.10",), searches=("svc.cluster.local",)),
            labels={"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "floor"},
            cgroup_parent=f"{self._cgroup}/{name}",
            security=SandboxSecurity(seccomp=SecurityProfile(ProfileType.RUNTIME_DEFAULT)),
        )
        container = ContainerSpec(
            name="pause",
            image=ImageSpec(image=PAUSE),
            # As many mounts as a Pod has with its hosts file, termination log and token.
            mounts=tuple(Mount(container_path=f"/mnt/{path.strip('/')}", host_path=path) for path in ("/etc", "/srv")),
            log_path="pause/0.log",
        )
        made = await runtime.run_sandbox(sandbox)
        await runtime.start_container(await runtime.create_container(made, container, sandbox_spec=sandbox))
        return made
