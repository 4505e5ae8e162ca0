"""What a container runtime can be asked, in plain values: satisfied by the gRPC clients and by the fake.

Every call raises a class of `pykubelet.cri.errors`. Stopping and removing what is not there succeeds.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from pykubelet.model import observed, runtime_config, stats
from pykubelet.model.ids import ContainerId, SandboxId


class SandboxCalls(Protocol):
    async def run_sandbox(self, spec: runtime_config.SandboxSpec) -> SandboxId:
        """Make and start a sandbox with its network. AlreadyExists if this name and attempt is there."""
        ...

    async def stop_sandbox(self, sandbox: SandboxId) -> None:
        """Kill what runs in it and free its network. It stays listed, NotReady."""
        ...

    async def remove_sandbox(self, sandbox: SandboxId) -> None:
        """Remove it with all its containers."""
        ...

    async def sandbox_status(self, sandbox: SandboxId) -> observed.Sandbox:
        """NotFound if it is not there."""
        ...

    async def list_sandboxes(
        self, *, labels: Mapping[str, str] | None = None, state: observed.SandboxState | None = None
    ) -> tuple[observed.Sandbox, ...]:
        """Those that match all that is given, newest first, without details."""
        ...

    async def update_sandbox_resources(
        self,
        sandbox: SandboxId,
        *,
        overhead: runtime_config.LinuxResources | None,
        resources: runtime_config.LinuxResources | None,
    ) -> bool:
        """Tell the runtime of a resize in place. False if it does not want to know (Unimplemented)."""
        ...


class ContainerCalls(Protocol):
    async def create_container(
        self, sandbox: SandboxId, spec: runtime_config.ContainerSpec, *, sandbox_spec: runtime_config.SandboxSpec
    ) -> ContainerId:
        """Make a container; `sandbox_spec` is what the sandbox was made from. AlreadyExists as for a sandbox."""
        ...

    async def start_container(self, container: ContainerId) -> None:
        """Start a Created container; a CriError carries what the runtime said (command not found, ...)."""
        ...

    async def stop_container(self, container: ContainerId, *, grace: int) -> None:
        """Send the stop signal, and SIGKILL `grace` seconds later. Returns when it has exited."""
        ...

    async def remove_container(self, container: ContainerId) -> None:
        """Remove it, killing it if it runs. Its log stays."""
        ...

    async def container_status(self, container: ContainerId, *, sandbox: SandboxId) -> observed.Container:
        """All about one container. The runtime does not say which sandbox it is in: `sandbox` is filled in as given."""
        ...

    async def list_containers(
        self,
        *,
        sandbox: SandboxId | None = None,
        labels: Mapping[str, str] | None = None,
        state: observed.ContainerState | None = None,
    ) -> tuple[observed.Container, ...]:
        """Those that match all that is given, newest first, without details."""
        ...

    async def update_container_resources(
        self, container: ContainerId, resources: runtime_config.LinuxResources
    ) -> None: ...

    async def reopen_log(self, container: ContainerId) -> None:
        """To be called after its log file was renamed; the container must run."""
        ...

    def events(self) -> AsyncIterator[observed.RuntimeEvent]:
        """Hints, until the stream breaks (Unavailable) or at once Unimplemented. `events.follow` reconnects."""
        ...


class CommandCalls(Protocol):
    async def exec_sync(
        self, container: ContainerId, command: Sequence[str], *, timeout: float | None = None
    ) -> observed.ExecResult:
        """Run a command to its end. DeadlineExceeded after `timeout` seconds (None or 0: no limit)."""
        ...

    async def exec_url(self, container: ContainerId, command: Sequence[str], *, streams: runtime_config.Streams) -> str:
        """Where the runtime's streaming server waits for this exec."""
        ...

    async def attach_url(self, container: ContainerId, *, streams: runtime_config.Streams) -> str: ...

    async def port_forward_url(self, sandbox: SandboxId, *, ports: Sequence[int] = ()) -> str: ...


class UsageCalls(Protocol):
    async def container_stats(self, container: ContainerId) -> stats.ContainerStats: ...

    async def list_container_stats(
        self, *, sandbox: SandboxId | None = None, labels: Mapping[str, str] | None = None
    ) -> tuple[stats.ContainerStats, ...]: ...

    async def sandbox_stats(self, sandbox: SandboxId) -> stats.SandboxStats: ...

    async def list_sandbox_stats(
        self, *, labels: Mapping[str, str] | None = None
    ) -> tuple[stats.SandboxStats, ...]: ...

    async def metric_descriptors(self) -> tuple[stats.MetricDescriptor, ...]: ...

    async def sandbox_metrics(self) -> tuple[stats.SandboxMetrics, ...]: ...


class RuntimeService(SandboxCalls, ContainerCalls, CommandCalls, UsageCalls, Protocol):
    """CRI's RuntimeService."""

    async def version(self) -> observed.RuntimeVersion: ...

    async def status(self) -> observed.RuntimeStatus: ...

    async def cgroup_driver(self) -> observed.CgroupDriver | None:
        """What the runtime was configured with; None if it cannot say (RuntimeConfig is Unimplemented)."""
        ...

    async def set_pod_cidr(self, cidr: str) -> None: ...

    async def checkpoint_container(self, container: ContainerId, *, location: str, timeout: int) -> None:
        """Write an archive of a running container to `location` within `timeout` seconds (0: no limit)."""
        ...

    async def checkpoint_pod(
        self, sandbox: SandboxId, *, containers: Sequence[ContainerId], output_path: str
    ) -> None: ...

    async def restore_pod(
        self, path: str, spec: runtime_config.SandboxSpec, *, containers: Sequence[runtime_config.ContainerSpec]
    ) -> tuple[SandboxId, Mapping[str, ContainerId]]:
        """Make a sandbox and its containers from a checkpoint; container ids come back by name."""
        ...


class ImageService(Protocol):
    """CRI's ImageService."""

    async def list_images(self) -> tuple[observed.Image, ...]: ...

    async def image_status(self, image: runtime_config.ImageSpec) -> observed.Image | None:
        """None if the image is not there."""
        ...

    async def pull_image(
        self, image: runtime_config.ImageSpec, *, auth: runtime_config.AuthConfig | None = None
    ) -> str:
        """Pull, however long it takes; the image's id comes back (`Image.id`)."""
        ...

    async def remove_image(self, image: runtime_config.ImageSpec) -> None: ...

    async def filesystems(self) -> observed.ImageFilesystems: ...
