"""Carries actions out: each action of the closed union becomes calls to the runtime, the disk and the cgroups."""

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import assert_never

from nodekit.aio.bounded import Limiter
from pykubelet import meters
from pykubelet.act import ports, turns
from pykubelet.act.containers import ContainerStarter
from pykubelet.act.image_actions import ImageActions
from pykubelet.act.operations import to_its_end
from pykubelet.act.pod_memory import PodMemory
from pykubelet.act.sandbox import Sandboxes
from pykubelet.act.stopping import ContainerStopper
from pykubelet.act.turns import Turns
from pykubelet.decide import counted, lookup, resize
from pykubelet.errors import PodError
from pykubelet.model import actions
from pykubelet.model.actions import Action

AT_ONCE = 6
"""Starts and removals that run side by side. More only make all of them end late: the runtime is the bottleneck."""
PATIENCE = 2.0
"""Seconds that a Pod's ConfigMaps and Secrets are waited for before the operation fails and is backed off."""

log = logging.getLogger(__name__)


class Executor:
    """`run(memory, action)` returns when the action is done; it raises PodError, or CriError for a mere removal."""

    def __init__(
        self,
        *,
        sandboxes: Sandboxes,
        starter: ContainerStarter,
        stopper: ContainerStopper,
        images: ImageActions,
        objects: ports.Holder,
        volumes: ports.Volumes,
        devices: ports.Devices,
        cgroups: ports.Cgroups,
    ) -> None:
        self._sandboxes = sandboxes
        self._starter = starter
        self._stopper = stopper
        self._images = images
        self._objects = objects
        self._volumes = volumes
        self._devices = devices
        self._cgroups = cgroups
        self._starts = Turns(AT_ONCE)
        self._removals = Limiter(AT_ONCE)

    async def run(self, memory: PodMemory, action: Action) -> None:
        """Do it."""
        match action:
            case actions.AssignDevices():
                await self._devices.assign(memory.pod)
            case actions.PrepareVolumes():
                # What was only just bound here has been asked for a moment ago.
                await self._objects.settled(memory.pod.uid, patience=PATIENCE)
                memory.volumes_stale = False  # what changes from here on does so after it is read
                await self._volumes.prepare(memory.pod)
            case actions.CreateSandbox():
                async with self._starts.taken(turns.BEGINNING):
                    await to_its_end(self._sandboxes.create(memory.pod, action))
            case actions.EnsureImage():
                await self._images.ensure(memory, action)
            case actions.StartContainer():
                await self._start(memory, action)
            case actions.RunPreStop():
                await self._stopper.run_pre_stop(memory, action)
            case actions.StopContainer():
                await self._stopper.stop(memory, action)
            case actions.StopSandbox():
                async with self._removals:
                    await to_its_end(self._sandboxes.stop(action.sandbox))
            case actions.RemoveSandbox():
                async with self._removals:
                    await to_its_end(self._sandboxes.remove(action.sandbox))
            case actions.RemoveContainer():
                async with self._removals:
                    await to_its_end(self._stopper.remove(action.container))
            case actions.ResizeContainer():
                with _timed():
                    await self._resize(memory, action)
            case actions.TearDown():
                await to_its_end(self._tear_down(memory))
            case actions.Forget():
                await to_its_end(self._forget(memory))
            case _:
                assert_never(action)

    async def _start(self, memory: PodMemory, action: actions.StartContainer) -> None:
        with _counted(memory, action):
            async with self._starts.taken(turns.NEARLY_DONE):
                if memory.grants.cgroup_is_behind:
                    await self._follow_grants(memory)
                started = await to_its_end(self._starter.start(memory, action))
            # A postStart hook takes its own time, and may be cut short.
            await self._starter.after_start(memory, started)

    async def _resize(self, memory: PodMemory, action: actions.ResizeContainer) -> None:
        lower = resize.lowered_memory_limit(memory.grants.actuated.get(action.name), action.to)
        if lower is not None:
            await self._stopper.check_memory(action, lower)
        # The kernel lets no cgroup have more than the one around it: the Pod's grows first, and shrinks last.
        with contextlib.suppress(OSError):
            await self._cgroups.update_pod(memory.pod, memory=lower is None)
        await self._stopper.resize(memory, action)
        try:
            await self._cgroups.update_pod(memory.pod)
        except OSError as error:
            raise PodError("ResizeError", f"the cgroup of the Pod cannot be changed: {error}") from error

    async def _follow_grants(self, memory: PodMemory) -> None:
        """Set the Pod's cgroup for a container that starts anew with other resources, which that has to allow."""
        try:
            await self._cgroups.update_pod(memory.pod)
        except OSError as error:
            # Another container may still have to shrink; its resize sets the Pod's cgroup again.
            log.info("the cgroup of pod %s is not changed yet: %s", memory.pod.key, error)
            return
        memory.grants.cgroup_is_behind = False

    async def _tear_down(self, memory: PodMemory) -> None:
        await self._volumes.tear_down(memory.pod)
        await self._cgroups.remove_pod(memory.pod)

    async def _forget(self, memory: PodMemory) -> None:
        await self._volumes.forget(memory.pod)
        self._sandboxes.forget(memory.pod)


@contextlib.contextmanager
def _timed() -> Iterator[None]:
    began, done = time.monotonic(), False
    try:
        yield
        done = True
    finally:
        meters.resize_milliseconds.labels(str(done).lower()).observe((time.monotonic() - began) * 1000)


@contextlib.contextmanager
def _counted(memory: PodMemory, action: actions.StartContainer) -> Iterator[None]:
    """A container's start, and how it went."""
    asked = lookup.spec_of(memory.pod, action.name)
    kind = counted.TYPES[asked[1]] if asked is not None else "container"
    volumes = {volume.name for volume in memory.pod.spec.volumes if volume.image is not None}
    mounted = [one.name for one in asked[0].volume_mounts if one.name in volumes] if asked is not None else []
    meters.started_containers.labels(kind).inc()
    meters.image_volumes.inc(len(set(mounted)))
    try:
        yield
    except PodError as error:
        meters.started_containers_errors.labels(kind, error.reason).inc()
        if error.reason == "CreateContainerError" and error.message.startswith("ImageVolumeMountFailed"):
            meters.image_volumes_failed.inc(len(mounted))
        raise
    else:
        meters.image_volumes_mounted.inc(len(mounted))
