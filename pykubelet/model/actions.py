"""What can be done to a Pod: a closed union of plain values. `act/executor` carries them out, nothing else does.

Each action runs as one named operation of its Pod. Its `key` says what it occupies: no second action with the same key
starts while one is under way, except a StopContainer with an earlier `kill_at`, which takes over.
"""

import dataclasses
import enum
from typing import NewType, TypeAlias

from pykubelet.model.container import ResourceRequirements
from pykubelet.model.ids import ContainerId, ImageRef, SandboxId

OpKey = NewType("OpKey", str)


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    """Crash-loop delay of one container: it may start `delay` seconds after its last exit.

    It was set `since` then, by start number `attempt`: one that ran long enough since then starts afresh, and the same
    start tried again waits for nothing more.
    """

    delay: float
    since: float
    attempt: int = 0


class Kind(enum.Enum):
    """Which of a Pod's three lists a container stands in."""

    INIT = "init"
    REGULAR = "regular"
    EPHEMERAL = "ephemeral"


@dataclasses.dataclass(frozen=True, slots=True)
class PrepareVolumes:
    """Get every volume of the Pod on disk and mounted."""

    key: OpKey = OpKey("volumes")


@dataclasses.dataclass(frozen=True, slots=True)
class AssignDevices:
    """Get the devices that its containers ask for from their plugins."""

    key: OpKey = OpKey("devices")


@dataclasses.dataclass(frozen=True, slots=True)
class CreateSandbox:
    """Make the Pod's cgroup and its sandbox with its network. `attempt` counts sandboxes of this Pod from 0.

    `replaces` are its dead sandboxes: they are stopped first (again, if need be), so that their addresses are free.
    """

    attempt: int
    replaces: tuple[SandboxId, ...] = ()

    @property
    def key(self) -> OpKey:
        return OpKey("sandbox")


@dataclasses.dataclass(frozen=True, slots=True)
class StopSandbox:
    """Stop a sandbox: its network goes, what still runs in it is killed. It stays listed until removed."""

    sandbox: SandboxId

    @property
    def key(self) -> OpKey:
        return OpKey(f"stop-sandbox/{self.sandbox}")


@dataclasses.dataclass(frozen=True, slots=True)
class RemoveSandbox:
    sandbox: SandboxId

    @property
    def key(self) -> OpKey:
        return OpKey(f"remove-sandbox/{self.sandbox}")


@dataclasses.dataclass(frozen=True, slots=True)
class EnsureImage:
    """Have the image a container wants, as its pull policy says, for one attempt to start that container.

    Several containers may want the same image: whoever pulls, pulls each image once. Success is remembered in
    `PodState.images` under the container's name, with the attempt. For an image volume `volume` is set and `container`
    is empty; success is remembered in `PodState.image_volumes`.
    """

    image: ImageRef
    policy: str
    container: str = ""
    attempt: int = 0
    volume: str = ""

    @property
    def key(self) -> OpKey:
        return OpKey(f"image-volume/{self.volume}" if self.volume else f"image/{self.container}")


@dataclasses.dataclass(frozen=True, slots=True)
class StartContainer:
    """Create and start a container in the current sandbox, then run its postStart hook. `attempt` counts from 0.

    `backoff` is the crash-loop delay to remember for this container from now on (None: leave it as it is).
    """

    name: str
    kind: Kind
    attempt: int
    sandbox: SandboxId
    backoff: Backoff | None = None

    @property
    def key(self) -> OpKey:
        return OpKey(f"start/{self.name}")


class StopReason(enum.Enum):
    """Why a container is stopped; remembered in `PodState.stopped_for`."""

    ENDING = "Ending"
    """The Pod ends, or has done its work."""
    UNHEALTHY = "Unhealthy"
    """A liveness or startup probe failed."""
    CHANGED = "Changed"
    """The Pod now asks for another image, or for resources that need a restart."""
    POST_START_FAILED = "FailedPostStartHook"
    SANDBOX_DIED = "SandboxDied"
    UNKNOWN_STATE = "UnknownState"
    RESTART_ALL = "RestartAllContainers"


@dataclasses.dataclass(frozen=True, slots=True)
class StopContainer:
    """Run the preStop hook, then stop, both until `kill_at` (epoch seconds), `grace` seconds from when it was decided.

    The runtime is given at least 2 seconds after the hook. A second one for the same container takes over only if its
    `kill_at` is earlier. `message` goes into the Killing event. Without `hook` the preStop hook has run already.
    """

    container: ContainerId
    name: str
    grace: int
    kill_at: float
    reason: StopReason
    message: str
    hook: bool = True

    @property
    def key(self) -> OpKey:
        return OpKey(f"stop/{self.container}")


@dataclasses.dataclass(frozen=True, slots=True)
class RunPreStop:
    """Run the preStop hook of a container whose turn to stop has not come, until `kill_at` (epoch seconds)."""

    container: ContainerId
    name: str
    kill_at: float

    @property
    def key(self) -> OpKey:
        return OpKey(f"pre-stop/{self.container}")


@dataclasses.dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Remove a dead container and its log."""

    container: ContainerId

    @property
    def key(self) -> OpKey:
        return OpKey(f"remove/{self.container}")


@dataclasses.dataclass(frozen=True, slots=True)
class Actuated:
    """The resources a container runs with: its own, and those of its Pod as a whole, from which it may inherit."""

    own: ResourceRequirements
    whole: ResourceRequirements | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ResizeContainer:
    """Bring a running container's cgroup values, and those of its Pod, to what the Pod was granted.

    `to` is what success is remembered as in `PodState.actuated`.
    """

    container: ContainerId
    name: str
    to: Actuated

    @property
    def key(self) -> OpKey:
        return OpKey(f"resize/{self.name}")


@dataclasses.dataclass(frozen=True, slots=True)
class TearDown:
    """Nothing of the Pod runs: unmount its volumes, remove its cgroup. Its folder and logs stay."""

    key: OpKey = OpKey("tear-down")


@dataclasses.dataclass(frozen=True, slots=True)
class Forget:
    """The Pod is gone from the API and the runtime: remove its folder and logs, drop what is remembered of it."""

    key: OpKey = OpKey("forget")


Action: TypeAlias = (
    AssignDevices
    | PrepareVolumes
    | CreateSandbox
    | StopSandbox
    | RemoveSandbox
    | EnsureImage
    | StartContainer
    | RunPreStop
    | StopContainer
    | RemoveContainer
    | ResizeContainer
    | TearDown
    | Forget
)


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to start now, in order, and when to look again even if nothing wakes the Pod (epoch seconds).

    `finished`: nothing of the Pod runs and all it held is released, for good: its API object may go if it is deleted.
    """

    actions: tuple[Action, ...] = ()
    wake_at: float | None = None
    finished: bool = False
