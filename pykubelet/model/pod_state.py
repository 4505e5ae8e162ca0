"""Everything a decision about one Pod depends on, as one value. The Pod's worker gathers it; `decide/` reads it.

Times are epoch seconds (float) unless a field says otherwise.
"""

import dataclasses
import enum
from collections.abc import Mapping

from pykubelet.model.actions import Action, Actuated, Backoff, OpKey, StopReason
from pykubelet.model.ids import ContainerId
from pykubelet.model.observed import PodRuntime
from pykubelet.model.pod import Pod


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """The last failure of an operation; gone once it succeeds.

    `reason` is the API's word (`ErrImagePull`, `CreateContainerConfigError`, `FailedMount`, ...); `message` is prose.
    """

    reason: str
    message: str
    at: float
    count: int
    retry_at: float


class EndingCause(enum.Enum):
    DELETED = "Deleted"
    """The API object has a deletionTimestamp, or is gone."""
    REJECTED = "Rejected"
    """Admission refused it: nothing of it ever runs."""
    EVICTED = "Evicted"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    PREEMPTED = "Preempting"
    NODE_SHUTDOWN = "Terminated"


@dataclasses.dataclass(frozen=True, slots=True)
class Ending:
    """Why and by when the Pod must stop. Once set it is never unset; `kill_at` may only move nearer.

    `grace` is the time granted in seconds, `kill_at` when it ends. For all but DELETED, `reason` and `message` are what
    the Pod's status shows and its phase is Failed.
    """

    cause: EndingCause
    grace: int
    kill_at: float
    reason: str = ""
    message: str = ""
    gone: bool = False
    """The object is no longer in the API: nothing is left to report to."""


@dataclasses.dataclass(frozen=True, slots=True)
class ImageState:
    """One container's image: `image_id` is set once it was made sure of for start attempt number `attempt`.

    While it is being pulled `progress` may say how far (`43% of 120 MB`).
    """

    image_id: str = ""
    attempt: int = 0
    progress: str = ""


class Verdict(enum.Enum):
    """What a probe says now. UNKNOWN until the first result counts."""

    UNKNOWN = "unknown"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclasses.dataclass(frozen=True, slots=True)
class Probed:
    """The verdicts on one running container; a probe it does not have is SUCCESS. `message` explains a FAILURE."""

    startup: Verdict = Verdict.SUCCESS
    readiness: Verdict = Verdict.SUCCESS
    liveness: Verdict = Verdict.SUCCESS
    message: str = ""


class ResizeReason(enum.Enum):
    DEFERRED = "Deferred"
    """There is no room now: it is tried again."""
    INFEASIBLE = "Infeasible"
    """It can never be on this node."""


@dataclasses.dataclass(frozen=True, slots=True)
class ResizePending:
    """A resize that was asked for and not granted, as of the Pod's `generation`."""

    reason: ResizeReason
    message: str
    generation: int


@dataclasses.dataclass(frozen=True, slots=True)
class PodState:
    """One Pod: what is asked (`pod`), what is there (`seen`), what is under way and what went wrong.

    The resources in `pod` are those that were granted (decide.resize); `actuated` are those that running containers
    have, by container name; one that is missing has what was granted.

    `under_way` holds the running operations by key, `failures` the last failure of each kind of operation by key.
    `devices_ready` is False while a container lacks a device that a plugin of this node offers.
    `volumes_ready` is True once PrepareVolumes succeeded for this Pod since the kubelet started (or was adopted).
    `images`, `image_volumes` (made sure of; volume name to image id) and `backoffs` (from StartContainer.backoff) are
    keyed by container or volume name, `probed` by container id. `stopped_for` says why we stopped a container.
    `pre_stopped` are those whose preStop hook ran by a RunPreStop, whatever came of it.
    `torn_down` is True once TearDown succeeded. `admitted` is False until admission let the Pod in.
    `max_restart_delay` is the longest crash-loop delay in seconds.
    """

    pod: Pod
    seen: PodRuntime
    admitted: bool = True
    ending: Ending | None = None
    devices_ready: bool = True
    volumes_ready: bool = False
    torn_down: bool = False
    under_way: Mapping[OpKey, Action] = dataclasses.field(default_factory=dict)
    failures: Mapping[OpKey, Failure] = dataclasses.field(default_factory=dict)
    images: Mapping[str, ImageState] = dataclasses.field(default_factory=dict)
    image_volumes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    probed: Mapping[ContainerId, Probed] = dataclasses.field(default_factory=dict)
    backoffs: Mapping[str, Backoff] = dataclasses.field(default_factory=dict)
    pre_stopped: frozenset[ContainerId] = frozenset()
    stopped_for: Mapping[ContainerId, StopReason] = dataclasses.field(default_factory=dict)
    actuated: Mapping[str, Actuated] = dataclasses.field(default_factory=dict)
    resize_pending: ResizePending | None = None
    max_restart_delay: float = 300.0
