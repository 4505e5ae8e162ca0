"""What the CRI's contract is tried with: containers that do this or that, on the fake, a real containerd and CRI-O."""

import asyncio
import contextlib
import dataclasses
import enum
import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pykubelet.cri import channel, errors, fake, runtime_api
from pykubelet.cri.images import Images
from pykubelet.cri.runtime import Runtime
from pykubelet.model import observed
from pykubelet.model import runtime_config as rc
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from tests.contract.real_containerd import Containerd
from tests.contract.real_crio import Crio

IMAGE = "contract.test/tiny:1"
UNKNOWN_SANDBOX, UNKNOWN_CONTAINER = SandboxId("0" * 64), ContainerId("0" * 64)
serial = itertools.count(1)


HEEDING = "heeding"


class Does(enum.Enum):
    """What a container's process does: as a command for a real one, as a program for the fake."""

    RUNS = (f"trap 'exit 0' TERM; echo {HEEDING}; while :; do sleep 1 & wait; done", fake.Program())
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

    async def until_heeding(self, container: observed.Container) -> None:
        """Wait until the process has a handler for the stop signal: a first process without one never gets it."""
        log = Path(container.log_path)
        async with asyncio.timeout(10):
            while not self.world and HEEDING not in log.read_text():  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.02)

    async def until_exited(self, container: observed.Container) -> observed.Container:
        async with asyncio.timeout(10):
            while container.state is not observed.ContainerState.EXITED:
                await asyncio.sleep(0.02)
                container = await self.runtime.container_status(container.id, sandbox=container.sandbox_id)
        return container


def on_fake(logs: Path) -> Kit:
    made = fake.FakeRuntime()
    made.world.registry = set()
    made.world.images[IMAGE] = observed.Image(id=f"sha256:{'1' * 64}", repo_tags=(IMAGE,), size=1, pinned=True)
    return Kit(runtime=made, images=made, cgroup="/contract", logs=logs, world=made.world)


@contextlib.asynccontextmanager
async def on_daemon(daemon: Containerd | Crio, logs: Path) -> AsyncIterator[Kit]:
    """On a real runtime, whose sandboxes are all removed in the end."""
    crio = isinstance(daemon, Crio)
    async with channel.open_channel(daemon.endpoint) as connection:
        runtime = Runtime(connection, timeout=30)
        images = Images(connection, timeout=30)
        if crio:
            await _have_network(runtime)
            await images.pull_image(rc.ImageSpec(image=IMAGE))
        yield Kit(runtime=runtime, images=images, cgroup=daemon.cgroup, logs=logs, crio=crio, old=daemon.old)
        for sandbox in await runtime.list_sandboxes():
            await runtime.remove_sandbox(sandbox.id)


async def _have_network(runtime: Runtime) -> None:
    """CRI-O answers before it has looked at its network's configuration, and tells nobody when it has."""

    async def has() -> bool:
        try:
            return all(condition.status for condition in (await runtime.status()).conditions)
        except errors.Unavailable:
            return False

    async with asyncio.timeout(20):
        while not await has():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
