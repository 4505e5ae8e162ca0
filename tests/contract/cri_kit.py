"""What the CRI's contract is tried with: containers that do this or that, on the fake and on a real containerd."""

import asyncio
import dataclasses
import enum
import itertools
import os
from pathlib import Path
from typing import Any

from pykubelet.cri import fake, runtime_api
from pykubelet.model import observed
from pykubelet.model import runtime_config as rc
from pykubelet.model.ids import ContainerId, SandboxId, Uid

IMAGE = "contract.test/tiny:1"
UNKNOWN_SANDBOX, UNKNOWN_CONTAINER = SandboxId("0" * 64), ContainerId("0" * 64)
serial = itertools.count(1)


class Does(enum.Enum):
    """What a container's process does: as a command for a real one, as a program for the fake."""

    RUNS = ("trap 'exit 0' TERM; while :; do sleep 1 & wait; done", fake.Program())
    SUCCEEDS = ("exit 0", fake.Program(exits_after=0.05))
    EXITS_3 = ("exit 3", fake.Program(exits_after=0.05, code=3))
    IGNORES_STOP = ("trap '' TERM; while :; do sleep 1; done", fake.Program(ignores_stop=True))
    CANNOT_START = ("", fake.Program(start_error="exec: /nowhere: no such file"))


@dataclasses.dataclass
class Kit:
    runtime: runtime_api.RuntimeService
    images: runtime_api.ImageService
    cgroup: str
    logs: Path
    world: fake.World | None = None
    crio: bool = False
    """CRI-O, which answers otherwise where the CRI leaves it open: the cases say how."""
    old: bool = False
    """A containerd 1.6: no events, no RuntimeConfig; nothing of its features, pinned images and containers' users."""

    def sandbox_spec(self, **changes: Any) -> rc.SandboxSpec:
        number = next(serial)
        uid = Uid(f"uid-{os.getpid()}-{number}")
        labels = {
            observed.POD_UID_LABEL: uid,
            observed.POD_NAME_LABEL: f"pod-{number}",
            observed.POD_NAMESPACE_LABEL: "contract",
        }
        spec = rc.SandboxSpec(
            name=f"pod-{number}",
            namespace="contract",
            uid=uid,
            hostname=f"pod-{number}",
            log_directory=str(self.logs / uid),
            labels=labels,
            annotations={"note": "kept"},
            cgroup_parent=self.cgroup,
            dns=rc.DNSConfig(servers=("198.18.64.10",), searches=("svc.cluster.local",), options=("ndots:5",)),
        )
        return dataclasses.replace(spec, **changes)

    def container_spec(self, sandbox: rc.SandboxSpec, does: Does, **changes: Any) -> rc.ContainerSpec:
        script, program = does.value
        name = changes.get("name", does.name.lower().replace("_", "-"))
        if self.world:
            self.world.script(name, program)
        spec = rc.ContainerSpec(
            name=name,
            image=rc.ImageSpec(image=IMAGE, user_specified_image=IMAGE),
            command=("sh", "-c", script) if script else ("/nowhere",),
            labels={**sandbox.labels, observed.CONTAINER_NAME_LABEL: name},
            annotations={"note": "kept"},
            log_path=f"{name}/0.log",
        )
        (self.logs / sandbox.uid / name).mkdir(parents=True, exist_ok=True)
        return dataclasses.replace(spec, **changes)

    async def sandbox(self, **changes: Any) -> tuple[SandboxId, rc.SandboxSpec]:
        spec = self.sandbox_spec(**changes)
        return await self.runtime.run_sandbox(spec), spec

    async def container(self, does: Does, *, start: bool = True, **changes: Any) -> observed.Container:
        sandbox, spec = await self.sandbox()
        container = await self.runtime.create_container(
            sandbox, self.container_spec(spec, does, **changes), sandbox_spec=spec
        )
        if start:
            await self.runtime.start_container(container)
        return await self.runtime.container_status(container, sandbox=sandbox)

    async def until_exited(self, container: observed.Container) -> observed.Container:
        async with asyncio.timeout(10):
            while container.state is not observed.ContainerState.EXITED:
                await asyncio.sleep(0.02)
                container = await self.runtime.container_status(container.id, sandbox=container.sandbox_id)
        return container
