"""The fake runtime's sandboxes."""

import dataclasses
from collections.abc import Mapping

from pykubelet.cri import errors
from pykubelet.cri.fake.world import SandboxRecord, World
from pykubelet.model import observed, runtime_config
from pykubelet.model.ids import SandboxId


def selected(labels: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    return all(labels.get(key) == value for key, value in (wanted or {}).items())


class FakeSandboxes:
    """Satisfies runtime_api.SandboxCalls."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def run_sandbox(self, spec: runtime_config.SandboxSpec) -> SandboxId:
        target = f"{spec.namespace}/{spec.name}"
        await self.world.enter("RunPodSandbox", target)
        name = (spec.name, spec.namespace, spec.uid, spec.attempt)
        for other in (s.spec for s in self.world.sandboxes.values()):
            if (other.name, other.namespace, other.uid, other.attempt) == name:
                raise errors.AlreadyExists("RunPodSandbox", target=target, detail=f"sandbox {name} is reserved")
        host = spec.security.namespaces.network is runtime_config.NamespaceMode.NODE
        record = SandboxRecord(
            id=SandboxId(self.world.new_id()),
            spec=spec,
            created_at=self.world.now(),
            ips=() if host else (self.world.new_address(),),
        )
        self.world.sandboxes[record.id] = record
        self.world.emit(record.id, observed.EventKind.CREATED, sandbox=record.id)
        self.world.emit(record.id, observed.EventKind.STARTED, sandbox=record.id)
        return record.id

    async def stop_sandbox(self, sandbox: SandboxId) -> None:
        await self.world.enter("StopPodSandbox", sandbox)
        if sandbox in self.world.sandboxes:
            self.world.lose_sandbox(sandbox)

    async def remove_sandbox(self, sandbox: SandboxId) -> None:
        await self.world.enter("RemovePodSandbox", sandbox)
        if sandbox not in self.world.sandboxes:
            return
        self.world.lose_sandbox(sandbox)
        for container in [c for c in self.world.containers.values() if c.sandbox == sandbox]:
            del self.world.containers[container.id]
            self.world.emit(container.id, observed.EventKind.DELETED, sandbox=sandbox)
        del self.world.sandboxes[sandbox]
        self.world.emit(sandbox, observed.EventKind.DELETED, sandbox=sandbox)

    async def sandbox_status(self, sandbox: SandboxId) -> observed.Sandbox:
        await self.world.enter("PodSandboxStatus", sandbox)
        return self.world.sandbox_status(self._sandbox("PodSandboxStatus", sandbox))

    async def list_sandboxes(
        self, *, labels: Mapping[str, str] | None = None, state: observed.SandboxState | None = None
    ) -> tuple[observed.Sandbox, ...]:
        await self.world.enter("ListPodSandbox")
        return tuple(
            dataclasses.replace(self.world.sandbox_status(record), detailed=False, ips=(), namespaces=None)
            for record in reversed(self.world.sandboxes.values())
            if selected(record.spec.labels, labels) and state in (None, record.state)
        )

    async def update_sandbox_resources(
        self,
        sandbox: SandboxId,
        *,
        overhead: runtime_config.LinuxResources | None,
        resources: runtime_config.LinuxResources | None,
    ) -> bool:
        try:
            await self.world.enter("UpdatePodSandboxResources", sandbox)
        except errors.Unimplemented:
            return False
        record = self._sandbox("UpdatePodSandboxResources", sandbox)
        record.spec = dataclasses.replace(record.spec, overhead=overhead, resources=resources)
        return True

    def _sandbox(self, call: str, sandbox: SandboxId) -> SandboxRecord:
        record = self.world.sandboxes.get(sandbox)
        if record is None:
            raise errors.NotFound(call, target=sandbox, detail="no such sandbox")
        return record
