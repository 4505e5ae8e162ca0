"""The fake runtime as one value: all its parts over one world, and what it says of itself."""

from collections.abc import Mapping, Sequence

from nodekit.aio.clock import Clock
from pykubelet.cri import errors
from pykubelet.cri.fake.commands import FakeCommands
from pykubelet.cri.fake.containers import FakeContainers
from pykubelet.cri.fake.images import FakeImages
from pykubelet.cri.fake.sandboxes import FakeSandboxes
from pykubelet.cri.fake.world import World
from pykubelet.model import observed, runtime_config
from pykubelet.model.ids import ContainerId, SandboxId

HEALTHY = observed.RuntimeStatus(
    conditions=(observed.Condition(type="RuntimeReady", status=True), observed.Condition("NetworkReady", status=True)),
    handlers=(observed.RuntimeHandler(name="", recursive_read_only_mounts=True, user_namespaces=True),),
    features=frozenset({"supplemental_groups_policy"}),
)


class FakeRuntime(FakeSandboxes, FakeContainers, FakeCommands, FakeImages):
    """Satisfies runtime_api.RuntimeService and ImageService. Two of them over one World are one runtime."""

    def __init__(self, world: World | None = None, *, clock: Clock | None = None) -> None:
        FakeCommands.__init__(self, world or World(clock=clock))
        self.reported = HEALTHY
        self.pod_cidr = ""

    async def version(self) -> observed.RuntimeVersion:
        await self.world.enter("Version")
        return observed.RuntimeVersion(name="fake", version="1.0.0", api_version="v1")

    async def status(self) -> observed.RuntimeStatus:
        await self.world.enter("Status")
        return self.reported

    async def cgroup_driver(self) -> observed.CgroupDriver | None:
        try:
            await self.world.enter("RuntimeConfig")
        except errors.Unimplemented:
            return None
        return observed.CgroupDriver.CGROUPFS

    async def set_pod_cidr(self, cidr: str) -> None:
        await self.world.enter("UpdateRuntimeConfig", cidr)
        self.pod_cidr = cidr

    async def checkpoint_container(self, container: ContainerId, *, location: str, timeout: int) -> None:
        await self.world.enter("CheckpointContainer", container)
        self._running("CheckpointContainer", container)

    async def checkpoint_pod(self, sandbox: SandboxId, *, containers: Sequence[ContainerId], output_path: str) -> None:
        await self.world.enter("CheckpointPod", sandbox)
        raise errors.Unimplemented("CheckpointPod", target=sandbox, detail="the fake keeps no checkpoints")

    async def restore_pod(
        self, path: str, spec: runtime_config.SandboxSpec, *, containers: Sequence[runtime_config.ContainerSpec]
    ) -> tuple[SandboxId, Mapping[str, ContainerId]]:
        await self.world.enter("RestorePod", f"{spec.namespace}/{spec.name}")
        raise errors.Unimplemented("RestorePod", target=path, detail="the fake keeps no checkpoints")
