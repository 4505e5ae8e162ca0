"""What can be done to a Pod: a closed union of plain values. `act/executor` carries them out, nothing else does.

Each action runs as one named operation of its Pod. Its `key` says what it occupies: no second action with the same key
starts while one is under way, except a StopContainer with a shorter grace, which takes over.
"""

import dataclasses
import enum
from typing import NewType, TypeAlias

from pykubelet.model.ids import ContainerId, ImageRef, SandboxId

OpKey = NewType("OpKey", str)


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
class CreateSandbox:
    """Make the Pod's cgroup and its sandbox with its network. `attempt` counts sandboxes of this Pod from 0."""

    attempt: int

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
    """Have the image a container wants, as its pull policy says. Also used for image volumes (container is empty)."""

    image: ImageRef
    policy: str
    container: str

    @property
    def key(self) -> OpKey:
        return OpKey(f"image/{self.image}/{self.policy}")


@dataclasses.dataclass(frozen=True, slots=True)
class StartContainer:
    """Create and start a container in the current sandbox, then run its postStart hook. `attempt` counts from 0."""

    name: str
    kind: Kind
    attempt: int
    sandbox: SandboxId

    @property
    def key(self) -> OpKey:
        return OpKey(f"start/{self.name}")


@dataclasses.dataclass(frozen=True, slots=True)
class StopContainer:
    """Run the preStop hook, then stop, both within `grace` seconds (at least the runtime's minimum of 2 after a hook).

    `message` goes into the Killing event; `reason` (`Deleted`, `Unhealthy`, `SpecChanged`, `Deadline`, ...) into logs.
    """

    container: ContainerId
    name: str
    grace: int
    reason: str
    message: str

    @property
    def key(self) -> OpKey:
        return OpKey(f"stop/{self.container}")


@dataclasses.dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Remove a dead container and its log."""

    container: ContainerId

    @property
    def key(self) -> OpKey:
        return OpKey(f"remove/{self.container}")


@dataclasses.dataclass(frozen=True, slots=True)
class ResizeContainer:
    """Bring a running container's cgroup values to what the Pod now asks for."""

    container: ContainerId
    name: str

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
    PrepareVolumes
    | CreateSandbox
    | StopSandbox
    | RemoveSandbox
    | EnsureImage
    | StartContainer
    | StopContainer
    | RemoveContainer
    | ResizeContainer
    | TearDown
    | Forget
)


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to start now, in order, and when to look again even if nothing wakes the Pod (epoch seconds)."""

    actions: tuple[Action, ...] = ()
    wake_at: float | None = None
