"""CRI's exec, attach and port-forward calls over gRPC, in plain values."""

import math
from collections.abc import Sequence

from cri_protos import api_pb2 as pb
from pykubelet.cri import channel, client
from pykubelet.model import observed, runtime_config
from pykubelet.model.ids import ContainerId, SandboxId

EXEC_MARGIN = 5.0
"""Seconds the runtime is given to say that a command took too long, before this side gives up on the call."""


class Commands(client.Client):
    """Satisfies runtime_api.CommandCalls."""

    async def exec_sync(
        self, container: ContainerId, command: Sequence[str], *, timeout: float | None = None
    ) -> observed.ExecResult:
        limit = math.ceil(timeout or 0)
        request = pb.ExecSyncRequest(container_id=container, cmd=command, timeout=limit)
        answer = await channel.call(
            self._stub.ExecSync,
            request,
            target=container,
            timeout=limit + EXEC_MARGIN if limit else None,
        )
        return observed.ExecResult(exit_code=answer.exit_code, stdout=answer.stdout, stderr=answer.stderr)

    async def exec_url(self, container: ContainerId, command: Sequence[str], *, streams: runtime_config.Streams) -> str:
        request = pb.ExecRequest(
            container_id=container,
            cmd=command,
            tty=streams.tty,
            stdin=streams.stdin,
            stdout=streams.stdout,
            stderr=streams.stderr,
        )
        answer = await channel.call(self._stub.Exec, request, target=container, timeout=self._timeout)
        return answer.url

    async def attach_url(self, container: ContainerId, *, streams: runtime_config.Streams) -> str:
        request = pb.AttachRequest(
            container_id=container,
            tty=streams.tty,
            stdin=streams.stdin,
            stdout=streams.stdout,
            stderr=streams.stderr,
        )
        answer = await channel.call(self._stub.Attach, request, target=container, timeout=self._timeout)
        return answer.url

    async def port_forward_url(self, sandbox: SandboxId, *, ports: Sequence[int] = ()) -> str:
        request = pb.PortForwardRequest(pod_sandbox_id=sandbox, port=ports)
        answer = await channel.call(self._stub.PortForward, request, target=sandbox, timeout=self._timeout)
        return answer.url
