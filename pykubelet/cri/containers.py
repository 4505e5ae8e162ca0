"""CRI's container calls over gRPC, in plain values."""

from collections.abc import AsyncIterator, Mapping

import grpc

from cri_protos import api_pb2 as pb
from pykubelet.cri import channel, client, convert_config, convert_observed, errors
from pykubelet.model import observed, runtime_config
from pykubelet.model.ids import ContainerId, SandboxId


class Containers(client.Client):
    """Satisfies runtime_api.ContainerCalls."""

    async def create_container(
        self, sandbox: SandboxId, spec: runtime_config.ContainerSpec, *, sandbox_spec: runtime_config.SandboxSpec
    ) -> ContainerId:
        request = pb.CreateContainerRequest(
            pod_sandbox_id=sandbox,
            config=convert_config.container(spec),
            sandbox_config=convert_config.sandbox(sandbox_spec),
        )
        target = f"{sandbox_spec.namespace}/{sandbox_spec.name}/{spec.name}"
        answer = await channel.call(self._stub.CreateContainer, request, target=target, timeout=self._timeout)
        return ContainerId(answer.container_id)

    async def start_container(self, container: ContainerId) -> None:
        request = pb.StartContainerRequest(container_id=container)
        await channel.call(self._stub.StartContainer, request, target=container, timeout=self._timeout)

    async def stop_container(self, container: ContainerId, *, grace: int) -> None:
        request = pb.StopContainerRequest(container_id=container, timeout=grace)
        try:
            await channel.call(self._stub.StopContainer, request, target=container, timeout=self._timeout + grace)
        except errors.NotFound:
            return

    async def remove_container(self, container: ContainerId) -> None:
        request = pb.RemoveContainerRequest(container_id=container)
        try:
            await channel.call(self._stub.RemoveContainer, request, target=container, timeout=self._timeout)
        except errors.NotFound:
            return

    async def container_status(self, container: ContainerId, *, sandbox: SandboxId) -> observed.Container:
        request = pb.ContainerStatusRequest(container_id=container)
        answer = await channel.call(self._stub.ContainerStatus, request, target=container, timeout=self._timeout)
        return convert_observed.container_status(answer.status, sandbox=sandbox)

    async def list_containers(
        self,
        *,
        sandbox: SandboxId | None = None,
        labels: Mapping[str, str] | None = None,
        state: observed.ContainerState | None = None,
    ) -> tuple[observed.Container, ...]:
        wanted = pb.ContainerFilter(pod_sandbox_id=sandbox or "", label_selector=labels)
        if state is not None:
            wanted.state.CopyFrom(pb.ContainerStateValue(state=convert_observed.WIRE_CONTAINER_STATES[state]))
        request = pb.ListContainersRequest(filter=wanted)
        answer = await channel.call(self._stub.ListContainers, request, timeout=self._timeout)
        found = (convert_observed.container(item) for item in answer.containers)
        return tuple(sorted(found, key=lambda c: c.created_at, reverse=True))

    async def update_container_resources(
        self, container: ContainerId, resources: runtime_config.LinuxResources
    ) -> None:
        request = pb.UpdateContainerResourcesRequest(container_id=container, linux=convert_config.resources(resources))
        await channel.call(self._stub.UpdateContainerResources, request, target=container, timeout=self._timeout)

    async def reopen_log(self, container: ContainerId) -> None:
        request = pb.ReopenContainerLogRequest(container_id=container)
        await channel.call(self._stub.ReopenContainerLog, request, target=container, timeout=self._timeout)

    async def events(self) -> AsyncIterator[observed.RuntimeEvent]:
        stream = self._stub.GetContainerEvents(pb.GetEventsRequest())
        try:
            async for response in stream:
                yield convert_observed.event(response)
        except grpc.aio.AioRpcError as error:
            raise errors.of("GetContainerEvents", error) from error
        finally:
            stream.cancel()
