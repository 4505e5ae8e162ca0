"""CRI's RuntimeService over gRPC, in plain values: the runtime itself and its checkpoints, and all the other parts."""

from collections.abc import Mapping, Sequence

from cri_protos import api_pb2 as pb
from pykubelet.cri import channel, convert_config, convert_observed, errors
from pykubelet.cri.commands import Commands
from pykubelet.cri.containers import Containers
from pykubelet.cri.sandboxes import Sandboxes
from pykubelet.cri.usage import Usage
from pykubelet.model import observed, runtime_config
from pykubelet.model.ids import ContainerId, SandboxId


class Runtime(Sandboxes, Containers, Commands, Usage):
    """Satisfies runtime_api.RuntimeService."""

    async def version(self) -> observed.RuntimeVersion:
        answer = await channel.call(self._stub.Version, pb.VersionRequest(), timeout=self._timeout)
        return observed.RuntimeVersion(
            name=answer.runtime_name,
            version=answer.runtime_version.removeprefix("v"),
            api_version=answer.runtime_api_version,
        )

    async def status(self) -> observed.RuntimeStatus:
        answer = await channel.call(self._stub.Status, pb.StatusRequest(), timeout=self._timeout)
        return convert_observed.runtime_status(answer)

    async def cgroup_driver(self) -> observed.CgroupDriver | None:
        try:
            answer = await channel.call(self._stub.RuntimeConfig, pb.RuntimeConfigRequest(), timeout=self._timeout)
        except errors.Unimplemented:
            return None
        if not answer.HasField("linux"):
            return None
        systemd = answer.linux.cgroup_driver == pb.SYSTEMD
        return observed.CgroupDriver.SYSTEMD if systemd else observed.CgroupDriver.CGROUPFS

    async def set_pod_cidr(self, cidr: str) -> None:
        request = pb.UpdateRuntimeConfigRequest(
            runtime_config=pb.RuntimeConfig(network_config=pb.NetworkConfig(pod_cidr=cidr))
        )
        await channel.call(self._stub.UpdateRuntimeConfig, request, target=cidr, timeout=self._timeout)

    async def checkpoint_container(self, container: ContainerId, *, location: str, timeout: int) -> None:
        request = pb.CheckpointContainerRequest(container_id=container, location=location, timeout=timeout)
        limit = timeout + self._timeout if timeout else None
        await channel.call(self._stub.CheckpointContainer, request, target=container, timeout=limit)

    async def checkpoint_pod(self, sandbox: SandboxId, *, containers: Sequence[ContainerId], output_path: str) -> None:
        request = pb.CheckpointPodRequest(pod_sandbox_id=sandbox, container_ids=containers, output_path=output_path)
        await channel.call(self._stub.CheckpointPod, request, target=sandbox, timeout=None)

    async def restore_pod(
        self, path: str, spec: runtime_config.SandboxSpec, *, containers: Sequence[runtime_config.ContainerSpec]
    ) -> tuple[SandboxId, Mapping[str, ContainerId]]:
        request = pb.RestorePodRequest(
            checkpoint_path=path,
            config=convert_config.sandbox(spec),
            runtime_handler=spec.runtime_handler,
            container_configs=[convert_config.container(c) for c in containers],
        )
        target = f"{spec.namespace}/{spec.name}"
        answer = await channel.call(self._stub.RestorePod, request, target=target, timeout=None)
        restored = {c.name: ContainerId(c.container_id) for c in answer.restored_containers}
        return SandboxId(answer.pod_sandbox_id), restored
