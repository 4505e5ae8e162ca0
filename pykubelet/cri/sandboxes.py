"""CRI's sandbox calls over gRPC, in plain values."""

from collections.abc import Mapping

from cri_protos import api_pb2 as pb
from pykubelet.cri import channel, client, convert_config, convert_observed, errors
from pykubelet.model import observed, runtime_config
from pykubelet.model.ids import SandboxId

LONG_CALLS = 2
"""Making a sandbox may take that many times the timeout: its image and CNI plugins can be slow to come."""


class Sandboxes(client.Client):
    """Satisfies runtime_api.SandboxCalls."""

    async def run_sandbox(self, spec: runtime_config.SandboxSpec) -> SandboxId:
        request = pb.RunPodSandboxRequest(config=convert_config.sandbox(spec), runtime_handler=spec.runtime_handler)
        answer = await channel.call(
            self._stub.RunPodSandbox,
            request,
            target=f"{spec.namespace}/{spec.name}",
            timeout=self._timeout * LONG_CALLS,
        )
        return SandboxId(answer.pod_sandbox_id)

    async def stop_sandbox(self, sandbox: SandboxId) -> None:
        request = pb.StopPodSandboxRequest(pod_sandbox_id=sandbox)
        try:
            await channel.call(self._stub.StopPodSandbox, request, target=sandbox, timeout=self._timeout)
        except errors.NotFound:
            return

    async def remove_sandbox(self, sandbox: SandboxId) -> None:
        request = pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox)
        try:
            await channel.call(self._stub.RemovePodSandbox, request, target=sandbox, timeout=self._timeout)
        except errors.NotFound:
            return

    async def sandbox_status(self, sandbox: SandboxId) -> observed.Sandbox:
        request = pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox)
        answer = await channel.call(self._stub.PodSandboxStatus, request, target=sandbox, timeout=self._timeout)
        return convert_observed.sandbox_status(answer.status)

    async def list_sandboxes(
        self, *, labels: Mapping[str, str] | None = None, state: observed.SandboxState | None = None
    ) -> tuple[observed.Sandbox, ...]:
        wanted = pb.PodSandboxFilter(label_selector=labels)
        if state is not None:
            wanted.state.CopyFrom(pb.PodSandboxStateValue(state=convert_observed.WIRE_SANDBOX_STATES[state]))
        request = pb.ListPodSandboxRequest(filter=wanted)
        answer = await channel.call(self._stub.ListPodSandbox, request, timeout=self._timeout)
        found = (convert_observed.sandbox(item) for item in answer.items)
        return tuple(sorted(found, key=lambda s: s.created_at, reverse=True))

    async def update_sandbox_resources(
        self,
        sandbox: SandboxId,
        *,
        overhead: runtime_config.LinuxResources | None,
        resources: runtime_config.LinuxResources | None,
    ) -> bool:
        request = pb.UpdatePodSandboxResourcesRequest(
            pod_sandbox_id=sandbox,
            overhead=None if overhead is None else convert_config.resources(overhead),
            resources=None if resources is None else convert_config.resources(resources),
        )
        try:
            await channel.call(self._stub.UpdatePodSandboxResources, request, target=sandbox, timeout=self._timeout)
        except errors.Unimplemented:
            return False
        return True
