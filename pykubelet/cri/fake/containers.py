"""The fake runtime's containers: Created, Running, Exited, and the events of each step."""

import asyncio
import contextlib
import dataclasses
import posixpath
from collections.abc import AsyncIterator, Mapping

from pykubelet.cri import errors
from pykubelet.cri.fake.sandboxes import selected
from pykubelet.cri.fake.world import KILLED, ContainerRecord, World
from pykubelet.model import observed, runtime_config
from pykubelet.model.ids import ContainerId, SandboxId

START_FAILED = 128
"""Exit code of a container whose process could not be started."""


class FakeContainers:
    """Satisfies runtime_api.ContainerCalls."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def create_container(
        self, sandbox: SandboxId, spec: runtime_config.ContainerSpec, *, sandbox_spec: runtime_config.SandboxSpec
    ) -> ContainerId:
        call, target = "CreateContainer", f"{sandbox_spec.namespace}/{sandbox_spec.name}/{spec.name}"
        await self.world.enter(call, target)
        place = self.world.sandboxes.get(sandbox)
        if place is None:
            raise errors.NotFound(call, target=target, detail=f"no sandbox {sandbox}")
        if place.state is not observed.SandboxState.READY:
            raise errors.CriError(call, target=target, detail=f"sandbox {sandbox} is not running")
        if self.world.registry is not None and spec.image.image not in self.world.images:
            raise errors.NotFound(call, target=target, detail=f"no image {spec.image.image}")
        for other in self.world.containers.values():
            if other.sandbox == sandbox and (other.spec.name, other.spec.attempt) == (spec.name, spec.attempt):
                raise errors.AlreadyExists(call, target=target, detail=f"{spec.name} attempt {spec.attempt} is there")
        record = ContainerRecord(
            id=ContainerId(self.world.new_id()),
            sandbox=sandbox,
            spec=spec,
            program=self.world.program_of(spec),
            created_at=self.world.now(),
            log_path=posixpath.join(sandbox_spec.log_directory, spec.log_path) if spec.log_path else "",
            resources=spec.resources,
        )
        self.world.containers[record.id] = record
        self.world.emit(record.id, observed.EventKind.CREATED, sandbox=sandbox)
        return record.id

    async def start_container(self, container: ContainerId) -> None:
        await self.world.enter("StartContainer", container)
        record = self._container("StartContainer", container)
        if record.state is not observed.ContainerState.CREATED:
            raise errors.CriError("StartContainer", target=container, detail=f"container is {record.state.value}")
        program = record.program
        if program.start_error:
            record.state, record.exit_code = observed.ContainerState.EXITED, START_FAILED
            record.started_at = record.finished_at = self.world.now()
            record.reason, record.message = "StartError", program.start_error
            record.exited.set()
            raise errors.CriError("StartContainer", target=container, detail=program.start_error)
        record.state, record.started_at = observed.ContainerState.RUNNING, self.world.now()
        self.world.emit(container, observed.EventKind.STARTED, sandbox=record.sandbox)
        if program.exits_after is not None:
            self._exit_later(record, program.exits_after, code=program.code, reason=program.reason)

    async def stop_container(self, container: ContainerId, *, grace: int) -> None:
        await self.world.enter("StopContainer", container)
        record = self.world.containers.get(container)
        if record is None or record.state is not observed.ContainerState.RUNNING:
            return
        program = record.program
        if grace and not program.ignores_stop:
            self._exit_later(record, program.stop_takes, code=program.stop_code, reason="")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await record.exited.wait()
        self.world.exit(container, KILLED)

    async def remove_container(self, container: ContainerId) -> None:
        await self.world.enter("RemoveContainer", container)
        record = self.world.containers.get(container)
        if record is None:
            return
        self.world.exit(container, KILLED)
        del self.world.containers[container]
        self.world.emit(container, observed.EventKind.DELETED, sandbox=record.sandbox)

    async def container_status(self, container: ContainerId, *, sandbox: SandboxId) -> observed.Container:
        await self.world.enter("ContainerStatus", container)
        record = self._container("ContainerStatus", container)
        return dataclasses.replace(self.world.container_status(record), sandbox_id=sandbox)

    async def list_containers(
        self,
        *,
        sandbox: SandboxId | None = None,
        labels: Mapping[str, str] | None = None,
        state: observed.ContainerState | None = None,
    ) -> tuple[observed.Container, ...]:
        await self.world.enter("ListContainers")
        return tuple(
            summary(self.world.container_status(record))
            for record in reversed(self.world.containers.values())
            if selected(record.spec.labels, labels)
            and sandbox in (None, record.sandbox)
            and state in (None, record.state)
        )

    async def update_container_resources(
        self, container: ContainerId, resources: runtime_config.LinuxResources
    ) -> None:
        await self.world.enter("UpdateContainerResources", container)
        record = self._container("UpdateContainerResources", container)
        changed = {
            field.name: value
            for field in dataclasses.fields(resources)
            if (value := getattr(resources, field.name)) not in (0, "", (), {})
        }
        record.resources = dataclasses.replace(record.resources, **changed)

    async def reopen_log(self, container: ContainerId) -> None:
        await self.world.enter("ReopenContainerLog", container)
        record = self._container("ReopenContainerLog", container)
        if record.state is not observed.ContainerState.RUNNING:
            raise errors.CriError("ReopenContainerLog", target=container, detail="container is not running")

    async def events(self) -> AsyncIterator[observed.RuntimeEvent]:
        await self.world.enter("GetContainerEvents")
        queue = self.world.listen()
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self.world.unlisten(queue)
        raise errors.Unavailable("GetContainerEvents", detail="the stream broke")

    def _container(self, call: str, container: ContainerId) -> ContainerRecord:
        record = self.world.containers.get(container)
        if record is None:
            raise errors.NotFound(call, target=container, detail="no such container")
        return record

    def _exit_later(self, record: ContainerRecord, seconds: float, *, code: int, reason: str) -> None:
        if record.timer:
            record.timer.cancel()
        loop = asyncio.get_running_loop()
        record.timer = loop.call_later(seconds, lambda: self.world.exit(record.id, code, reason=reason))


def summary(status: observed.Container) -> observed.Container:
    """What a list says of a container: nothing that only ContainerStatus knows."""
    return observed.Container(
        id=status.id,
        name=status.name,
        attempt=status.attempt,
        pod_uid=status.pod_uid,
        sandbox_id=status.sandbox_id,
        state=status.state,
        created_at=status.created_at,
        image=status.image,
        image_ref=status.image_ref,
        image_id=status.image_id,
        labels=status.labels,
        annotations=status.annotations,
    )
