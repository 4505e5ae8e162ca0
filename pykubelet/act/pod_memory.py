"""What is remembered of one Pod between two steps of its worker, and cannot be seen in the runtime or the API.

All of it may be lost with the process: a new one finds out again, at worst with a shorter backoff.
"""

import dataclasses
from collections.abc import Iterable

from pykubelet.act.grants import Grants
from pykubelet.errors import PodError
from pykubelet.model import actions, observed
from pykubelet.model.actions import Action, Backoff, OpKey, StopReason
from pykubelet.model.ids import ContainerId
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Ending, Failure, ImageState
from pykubelet.model.status import PodStatus


@dataclasses.dataclass(slots=True)
class PodMemory:
    """`pod` is the last that was wanted: the API forgets a Pod sooner than its containers are gone.

    Its resources are those it was granted; `asked` is what the API says. `status` is the last one reported.
    `volumes_stale`: what the volumes show may have changed since they were filled. `refused` are containers that the
    runtime would not start. `found`: what was learned of `images` when they were made sure of. `orphaned`: only the
    runtime knew of it.
    """

    pod: Pod
    asked: Pod
    grants: Grants = dataclasses.field(default_factory=Grants)
    admitted: bool = False
    ending: Ending | None = None
    orphaned: bool = False
    status: PodStatus | None = None
    volumes_ready: bool = False
    volumes_stale: bool = False
    torn_down: bool = False
    images: dict[str, ImageState] = dataclasses.field(default_factory=dict)
    found: dict[str, observed.Image] = dataclasses.field(default_factory=dict)
    image_volumes: dict[str, str] = dataclasses.field(default_factory=dict)
    failures: dict[OpKey, Failure] = dataclasses.field(default_factory=dict)
    backoffs: dict[str, Backoff] = dataclasses.field(default_factory=dict)
    refused: set[ContainerId] = dataclasses.field(default_factory=set)
    pre_stopped: set[ContainerId] = dataclasses.field(default_factory=set)
    stopped_for: dict[ContainerId, StopReason] = dataclasses.field(default_factory=dict)

    def end(self, ending: Ending) -> bool:
        """Note that the Pod must stop. An ending is never unset; a later one can only hasten it or say "gone"."""
        before = self.ending
        if before is None:
            self.ending = ending
            return True
        # The first cause stays: an evicted Pod that is then deleted is still shown as evicted.
        merged = dataclasses.replace(
            before,
            grace=min(before.grace, ending.grace),
            kill_at=min(before.kill_at, ending.kill_at),
            gone=before.gone or ending.gone,
        )
        self.ending = merged
        return merged != before

    def content_changed(self) -> None:
        """Note that something the Pod refers to came, changed or went: what failed for want of it may succeed now."""
        self.volumes_stale = True
        for key, failure in list(self.failures.items()):
            if failure.reason in ("FailedMount", "CreateContainerConfigError"):
                self.failures[key] = dataclasses.replace(failure, retry_at=0.0)

    def begun(self, action: Action) -> None:
        """Note that an operation starts."""
        match action:
            case actions.StartContainer():
                self.grants.starts(self.pod, action.name)
                if action.backoff is not None:
                    self.backoffs[action.name] = action.backoff
            case actions.RunPreStop():
                self.pre_stopped.add(action.container)
            case actions.StopContainer():
                self.stopped_for[action.container] = action.reason
            case actions.TearDown():
                self.volumes_ready = False
            case _:
                pass

    def succeeded(self, action: Action) -> None:
        """Note that an operation ended well."""
        self.failures.pop(action.key, None)
        match action:
            case actions.PrepareVolumes():
                self.volumes_ready, self.torn_down = True, False
            case actions.TearDown():
                self.torn_down = True
            case actions.ResizeContainer():
                self.grants.actuated[action.name] = action.to
            case actions.RemoveContainer():
                self.stopped_for.pop(action.container, None)
            case _:
                pass

    def failed(self, action: Action, error: Exception, *, now: float, delay: float) -> Failure:
        """Note a failure; it may be tried again after `delay` seconds unless the error says otherwise."""
        reason, message = _words(error)
        before = self.failures.get(action.key)
        after = error.retry_after if isinstance(error, PodError) and error.retry_after is not None else delay
        failure = Failure(
            reason=reason,
            message=message,
            at=now,
            count=before.count + 1 if before else 1,
            retry_at=now + after,
        )
        self.failures[action.key] = failure
        if isinstance(action, actions.StartContainer):
            # Its image may have been removed since: the next try makes sure of it again.
            self.images.pop(action.name, None)
        return failure

    def failures_in_a_row(self, key: OpKey) -> int:
        """How often the operation has failed since it last succeeded."""
        failure = self.failures.get(key)
        return failure.count if failure else 0

    def keep_only(self, containers: Iterable[ContainerId]) -> None:
        """Drop what is remembered of containers that are no more."""
        here = set(containers)
        for gone in [container for container in self.stopped_for if container not in here]:
            del self.stopped_for[gone]
        self.pre_stopped &= here
        self.refused &= here


def _words(error: Exception) -> tuple[str, str]:
    if isinstance(error, PodError):
        return error.reason, error.message
    return "InternalError", f"{type(error).__name__}: {error}"
