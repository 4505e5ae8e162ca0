"""The fake runtime's commands and usage: what a test scripted, or something plain."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from pykubelet.cri import errors
from pykubelet.cri.fake.sandboxes import selected
from pykubelet.cri.fake.world import ContainerRecord, SandboxRecord, World
from pykubelet.model import observed, runtime_config, stats
from pykubelet.model.ids import ContainerId, SandboxId

Command: TypeAlias = Callable[[Sequence[str]], observed.ExecResult]
MEMORY = 1024 * 1024
CPU_SHARE = 0.01
"""What every running container uses: bytes, and a part of a core."""


class FakeCommands:
    """Satisfies runtime_api.CommandCalls and UsageCalls."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.commands: dict[str, Command] = {}
        """By container name: what a command answers. Without one it succeeds and says nothing."""
        self.streaming_url = "http://127.0.0.1:1"
        """Where a test's own streaming server listens."""

    async def exec_sync(
        self, container: ContainerId, command: Sequence[str], *, timeout: float | None = None
    ) -> observed.ExecResult:
        await self.world.enter("ExecSync", container)
        record = self._running("ExecSync", container)
        delay = self.world.delays.get(f"exec {record.spec.name}", 0.0)
        if timeout and delay > timeout:
            await self.world.clock.sleep(timeout)
            raise errors.DeadlineExceeded("ExecSync", target=container, detail=f"timeout {timeout} s exceeded")
        await self.world.clock.sleep(delay)
        answer = self.commands.get(record.spec.name)
        return answer(command) if answer else observed.ExecResult(exit_code=0, stdout=b"", stderr=b"")

    async def exec_url(self, container: ContainerId, command: Sequence[str], *, streams: runtime_config.Streams) -> str:
        await self.world.enter("Exec", container)
        return f"{self.streaming_url}/exec/{self._running('Exec', container).id[-8:]}"

    async def attach_url(self, container: ContainerId, *, streams: runtime_config.Streams) -> str:
        await self.world.enter("Attach", container)
        return f"{self.streaming_url}/attach/{self._running('Attach', container).id[-8:]}"

    async def port_forward_url(self, sandbox: SandboxId, *, ports: Sequence[int] = ()) -> str:
        await self.world.enter("PortForward", sandbox)
        return f"{self.streaming_url}/portforward/{self._sandbox('PortForward', sandbox).id[-8:]}"

    async def container_stats(self, container: ContainerId) -> stats.ContainerStats:
        await self.world.enter("ContainerStats", container)
        record = self.world.containers.get(container)
        if record is None:
            raise errors.NotFound("ContainerStats", target=container, detail="no such container")
        return self._usage(record)

    async def list_container_stats(
        self, *, sandbox: SandboxId | None = None, labels: Mapping[str, str] | None = None
    ) -> tuple[stats.ContainerStats, ...]:
        await self.world.enter("ListContainerStats")
        return tuple(
            self._usage(record)
            for record in self.world.containers.values()
            if selected(record.spec.labels, labels) and sandbox in (None, record.sandbox)
        )

    async def sandbox_stats(self, sandbox: SandboxId) -> stats.SandboxStats:
        await self.world.enter("PodSandboxStats", sandbox)
        return self._sandbox_usage(self._sandbox("PodSandboxStats", sandbox))

    async def list_sandbox_stats(self, *, labels: Mapping[str, str] | None = None) -> tuple[stats.SandboxStats, ...]:
        await self.world.enter("ListPodSandboxStats")
        records = self.world.sandboxes.values()
        return tuple(self._sandbox_usage(r) for r in records if selected(r.spec.labels, labels))

    async def metric_descriptors(self) -> tuple[stats.MetricDescriptor, ...]:
        await self.world.enter("ListMetricDescriptors")
        return ()

    async def sandbox_metrics(self) -> tuple[stats.SandboxMetrics, ...]:
        await self.world.enter("ListPodSandboxMetrics")
        return ()

    def _usage(self, record: ContainerRecord) -> stats.ContainerStats:
        running = record.state is observed.ContainerState.RUNNING
        now = self.world.now()
        lived = (now if running else record.finished_at) - record.started_at if record.started_at else 0.0
        return stats.ContainerStats(
            id=record.id,
            name=record.spec.name,
            attempt=record.spec.attempt,
            labels=dict(record.spec.labels),
            annotations=dict(record.spec.annotations),
            cpu=stats.Cpu(at=now, core_nanoseconds=int(lived * CPU_SHARE * 1e9)) if running else None,
            memory=stats.Memory(at=now, working_set=MEMORY, usage=MEMORY, rss=MEMORY) if running else None,
            writable_layer=observed.FilesystemUsage(at=now, mountpoint="/fake", used_bytes=4096, inodes_used=1),
        )

    def _sandbox_usage(self, record: SandboxRecord) -> stats.SandboxStats:
        now = self.world.now()
        parts = tuple(self._usage(c) for c in self.world.containers.values() if c.sandbox == record.id)
        running = [c for c in parts if c.memory is not None]
        return stats.SandboxStats(
            id=record.id,
            uid=record.spec.uid,
            namespace=record.spec.namespace,
            name=record.spec.name,
            labels=dict(record.spec.labels),
            annotations=dict(record.spec.annotations),
            cpu=stats.Cpu(at=now, core_nanoseconds=sum(c.cpu.core_nanoseconds or 0 for c in running if c.cpu)),
            memory=stats.Memory(at=now, working_set=MEMORY * len(running)),
            network=stats.Network(at=now, default=stats.Interface(name="eth0", rx_bytes=0, tx_bytes=0)),
            processes=1 + len(running),
            containers=parts,
        )

    def _running(self, call: str, container: ContainerId) -> ContainerRecord:
        record = self.world.containers.get(container)
        if record is None:
            raise errors.NotFound(call, target=container, detail="no such container")
        if record.state is not observed.ContainerState.RUNNING:
            raise errors.CriError(call, target=container, detail=f"container is {record.state.value}")
        return record

    def _sandbox(self, call: str, sandbox: SandboxId) -> SandboxRecord:
        record = self.world.sandboxes.get(sandbox)
        if record is None:
            raise errors.NotFound(call, target=sandbox, detail="no such sandbox")
        return record
