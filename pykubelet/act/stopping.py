"""Stops containers: preStop hook, then the stop signal with what is left of the grace. Removes and resizes too."""

import asyncio
import functools
import logging
import math
from typing import Final

import msgspec

from nodekit.objects import codec
from pykubelet.act import hooks
from pykubelet.act.containers import Reach
from pykubelet.act.pod_memory import PodMemory
from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.decide import cgroups, container_spec, labels, lookup
from pykubelet.errors import PodError
from pykubelet.model.actions import ResizeContainer, RunPreStop, StopContainer
from pykubelet.model.container import Container, Handler
from pykubelet.model.ids import ContainerId
from pykubelet.model.pod import Pod
from pykubelet.model.runtime_config import LinuxResources

LEAST_GRACE: Final = 2
"""Seconds a container always gets; minimumGracePeriodInSeconds of the genuine kubelet."""

log = logging.getLogger(__name__)


class ContainerStopper:
    """Carries out StopContainer, RunPreStop, RemoveContainer and ResizeContainer."""

    def __init__(self, runtime: runtime_api.RuntimeService, reach: Reach, *, node: container_spec.NodeFacts) -> None:
        self._runtime = runtime
        self._reach = reach
        self._node = node

    async def stop(self, memory: PodMemory, action: StopContainer) -> None:
        """Raises PodError FailedKillPod."""
        pod = memory.pod
        if action.hook:
            self._reach.recorder.event(pod, "Normal", "Killing", action.message, container=action.name)
            await self.run_pre_stop(memory, action)
        grace = max(LEAST_GRACE, math.ceil(self._left(action)))
        try:
            await self._runtime.stop_container(action.container, grace=grace)
        except cri_errors.CriError as error:
            message = f"error killing pod: failed to stop container {action.name}: {error.detail}"
            self._reach.recorder.event(pod, "Warning", "FailedKillPod", message)
            raise PodError("FailedKillPod", message) from error

    async def run_pre_stop(self, memory: PodMemory, action: StopContainer | RunPreStop) -> None:
        """Run the hook, if the container has one, for no longer than its grace; what comes of it changes nothing."""
        hook = self._pre_stop(memory, action)
        if hook is not None and self._left(action) > 0:
            await self._run_hook(memory, action, hook)

    async def remove(self, container: ContainerId) -> None:
        """Remove it from the runtime. Raises CriError."""
        await self._runtime.remove_container(container)

    async def check_memory(self, action: ResizeContainer, limit: int) -> None:
        """Raises PodError if the container uses more than `limit` bytes: to enforce that would kill it."""
        try:
            used = (await self._runtime.container_stats(action.container)).memory
        except cri_errors.CriError as error:
            raise PodError("ResizeError", error.detail) from error
        if used is not None and used.usage is not None and used.usage >= limit:
            message = f'attempting to set container "{action.name}" memory limit ({limit}) below current usage'
            raise PodError("ResizeError", f"cannot decrease memory limits: {message} ({used.usage})")

    async def resize(self, memory: PodMemory, action: ResizeContainer) -> None:
        """Set the cgroup values the Pod asks for now. Raises PodError."""
        asked = lookup.spec_of(memory.pod, action.name)
        if asked is None:
            return
        try:
            await self._runtime.update_container_resources(
                action.container, _resources(memory.pod, asked[0], self._node)
            )
        except cri_errors.CriError as error:
            raise PodError("ResizeError", error.detail) from error

    def _left(self, action: StopContainer | RunPreStop) -> float:
        return action.kill_at - self._reach.clock.now().timestamp()

    async def _run_hook(self, memory: PodMemory, action: StopContainer | RunPreStop, hook: Handler) -> None:
        addresses = self._reach.addresses(memory.pod)
        asked = lookup.spec_of(memory.pod, action.name)
        container = asked[0] if asked else Container(name=action.name)
        target = hooks.Target(action.container, container, addresses[0] if addresses else "")
        warn = functools.partial(self._reach.recorder.event, memory.pod, "Warning", container=action.name)
        try:
            async with asyncio.timeout(self._left(action)):
                await hooks.Hooks(self._runtime, warn=warn).run(hook, target)
        except TimeoutError:
            log.info("pod %s: the preStop hook of %s took all of its grace", memory.pod.key, action.name)
        except hooks.HookFailed as error:
            log.info("pod %s: the preStop hook of %s: %s", memory.pod.key, action.name, error)
            self._reach.recorder.event(
                memory.pod, "Warning", "FailedPreStopHook", "PreStopHook failed", container=action.name
            )

    def _pre_stop(self, memory: PodMemory, action: StopContainer | RunPreStop) -> Handler | None:
        """The hook of the Pod's spec; of a Pod we know no spec of, the one noted on the container itself."""
        asked = lookup.spec_of(memory.pod, action.name)
        if asked is not None and asked[0].lifecycle is not None:
            return asked[0].lifecycle.pre_stop
        if asked is not None and asked[0].image:
            return None
        seen = self._reach.seen(memory.pod)
        noted = next((c.annotations for c in seen.containers if c.id == action.container), {}) if seen else {}
        text = noted.get(labels.PRE_STOP)
        try:
            return codec.decode(Handler, text.encode()) if text else None
        except msgspec.DecodeError:
            return None


def _resources(pod: Pod, container: Container, node: container_spec.NodeFacts) -> LinuxResources:
    return cgroups.of_container(pod, container, node.machine)
