"""Starts containers: spec, create, start, postStart hook, and the events that tell of it."""

import dataclasses
import functools
import logging
import os
from pathlib import Path

from nodekit.aio.clock import Clock
from pykubelet.act import hooks, ports
from pykubelet.act.container_inputs import Inputs
from pykubelet.act.pod_memory import PodMemory
from pykubelet.act.sandbox import Sandboxes
from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.decide import health, lookup
from pykubelet.decide.environment import ConfigError
from pykubelet.errors import PodError
from pykubelet.model.actions import StartContainer
from pykubelet.model.container import Container
from pykubelet.model.ids import ContainerId
from pykubelet.model.observed import ContainerState, PodRuntime
from pykubelet.model.pod import Pod

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Started:
    """A container that runs and may have a hook to run."""

    id: ContainerId
    container: Container
    address: str


class ContainerStarter:
    """Carries out StartContainer."""

    def __init__(
        self,
        runtime: runtime_api.RuntimeService,
        *,
        sandboxes: Sandboxes,
        inputs: Inputs,
        reach: "Reach",
    ) -> None:
        self._runtime = runtime
        self._sandboxes = sandboxes
        self._inputs = inputs
        self._reach = reach

    async def start(self, memory: PodMemory, action: StartContainer) -> Started:
        """Create and start it. Raises PodError with the API's words."""
        pod = memory.pod
        asked = lookup.spec_of(pod, action.name)
        if asked is None:
            raise PodError("CreateContainerConfigError", f"the Pod has no container {action.name}")
        container = asked[0]
        ips = self._reach.addresses(pod)
        made = self._made_before(memory, action) or await self._create(memory, action, container, ips)
        try:
            await self._runtime.start_container(made)
        except cri_errors.CriError as error:
            if not isinstance(error, cri_errors.Unavailable | cri_errors.DeadlineExceeded):
                memory.refused.add(made)
            self._tell(pod, action.name, "Warning", "Failed", f"Error: {error.detail}")
            raise PodError("RunContainerError", error.detail) from error
        self._tell(pod, action.name, "Normal", "Started", "Container started")
        return Started(made, container, ips[0] if ips else "")

    def _made_before(self, memory: PodMemory, action: StartContainer) -> ContainerId | None:
        """A container that was made for this start, and not started: its maker, or the runtime, died in between."""
        seen = self._reach.seen(memory.pod)
        found = lookup.newest(seen, action.name) if seen else None
        if found is None or found.state is not ContainerState.CREATED or found.sandbox_id != action.sandbox:
            return None
        return None if found.id in memory.refused else found.id

    async def _create(
        self, memory: PodMemory, action: StartContainer, container: Container, ips: tuple[str, ...]
    ) -> ContainerId:
        pod = memory.pod
        image = memory.found[action.name]  # no start is planned without
        await self._inputs.pre_start(pod, container)
        try:
            given = self._inputs.given(memory, container, image, pod_ips=ips)
            given = dataclasses.replace(given, attempt=action.attempt, target=self._target(pod, container))
            spec = self._inputs.spec(pod, container, given)
            sandbox_spec = self._sandboxes.spec(pod, self._reach.sandbox_attempt(pod, action))
        except (ConfigError, OSError) as error:
            self._tell(pod, action.name, "Warning", "Failed", f"Error: {error}")
            raise PodError("CreateContainerConfigError", str(error)) from error
        try:
            made = await self._runtime.create_container(action.sandbox, spec, sandbox_spec=sandbox_spec)
        except cri_errors.CriError as error:
            memory.images.pop(action.name, None)  # it may have been removed under us
            self._tell(pod, action.name, "Warning", "Failed", f"Error: {error.detail}")
            raise PodError("CreateContainerError", error.detail) from error
        self._tell(pod, action.name, "Normal", "Created", "Container created")
        link_log(self._reach.log_links, pod, (action.name, made), Path(sandbox_spec.log_directory) / spec.log_path)
        return made

    async def after_start(self, memory: PodMemory, started: Started) -> None:
        """Run its postStart hook. PodError PostStartHookError has it stopped."""
        hook = started.container.lifecycle.post_start if started.container.lifecycle else None
        if hook is None:
            return
        target = hooks.Target(started.id, started.container, started.address)
        warn = functools.partial(self._tell, memory.pod, started.container.name, "Warning")
        try:
            await hooks.Hooks(self._runtime, warn=warn).run(hook, target)
        except hooks.HookFailed as error:
            # The event does not carry the hook's output, which may hold secrets.
            self._tell(memory.pod, started.container.name, "Warning", "FailedPostStartHook", "PostStartHook failed")
            raise PodError(health.POST_START_ERROR, str(error)) from error

    def _target(self, pod: Pod, container: Container) -> ContainerId | None:
        if not container.target_container_name:
            return None
        seen = self._reach.seen(pod)
        found = lookup.newest(seen, container.target_container_name) if seen else None
        if found is None:
            raise ConfigError(f"unable to find target container {container.target_container_name}: it does not run")
        return found.id

    def _tell(self, pod: Pod, container: str, type_: str, reason: str, message: str) -> None:
        self._reach.recorder.event(pod, type_, reason, message, container=container)


@dataclasses.dataclass(frozen=True, slots=True)
class Reach:
    """What a container's start and stop must know of its Pod as it is now, and whom they tell.

    `log_links` is the folder that cluster logging agents read.
    """

    view: ports.Seen
    recorder: ports.Recorder
    clock: Clock
    host_ips: tuple[str, ...]
    log_links: Path

    def seen(self, pod: Pod) -> PodRuntime | None:
        """What the runtime has of it."""
        return self.view.get(pod.uid)

    def addresses(self, pod: Pod) -> tuple[str, ...]:
        """The Pod's addresses, the node's if it is on the host network; empty without a sandbox."""
        if pod.spec.host_network:
            return self.host_ips
        seen = self.seen(pod)
        return seen.sandboxes[0].ips if seen and seen.sandboxes else ()

    def sandbox_attempt(self, pod: Pod, action: StartContainer) -> int:
        """The attempt of the sandbox a container starts in."""
        seen = self.seen(pod)
        return next((s.attempt for s in seen.sandboxes if s.id == action.sandbox), 0) if seen else 0


def link_log(folder: Path, pod: Pod, container: tuple[str, ContainerId], log_path: Path) -> None:
    """Make the link that cluster logging agents read: `<pod>_<namespace>_<container>-<id>.log`."""
    name, id_ = container
    link = folder / f"{pod.metadata.name}_{pod.metadata.namespace}_{name}-{id_}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.symlink(log_path, link)
    except OSError as error:
        log.debug("no link to the log of %s/%s: %s", pod.key, name, error)
