"""Remembers which resources a running Pod was granted, and which its containers have."""

from collections.abc import Callable

from pykubelet.decide import resize
from pykubelet.model.actions import Actuated
from pykubelet.model.container import ResourceRequirements
from pykubelet.model.observed import PodRuntime
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import ResizePending


class Grants:
    """Of one Pod. Nothing is granted before the Pod is admitted; then it is what it asks for, until that changes."""

    def __init__(self) -> None:
        self.actuated: dict[str, Actuated] = {}
        self.cgroup_is_behind = False
        """Whether a container starts with other resources than the Pod's cgroup was set for."""
        self.pending: ResizePending | None = None
        self.newly = False
        """Whether a change was granted when it was considered last."""
        self._granted: dict[str, ResourceRequirements] | None = None

    def applied(self, asked: Pod) -> Pod:
        """The Pod as it was granted."""
        return resize.granted(asked, self._granted) if self._granted is not None else asked

    def consider(self, asked: Pod, judge: Callable[[Pod], ResizePending | None], seen: PodRuntime | None) -> Pod:
        """The Pod as it is granted now: `judge` says why a change has to wait. `seen` is what runs of it."""
        first = self._granted is None
        if self._granted is None:
            self._granted = resize.recalled(asked)
        changes = resize.is_asked(asked, self._granted)
        self.pending = judge(asked) if changes else None
        self.newly = changes and self.pending is None
        if self.pending is None:
            self._granted = resize.resources_of(asked)
        granted = self.applied(asked)
        if first:
            self.actuated = resize.adopted(asked, granted, seen)
        return granted

    def starts(self, pod: Pod, container: str) -> None:
        """A container starts with what the Pod, as granted, says at this moment."""
        own = resize.resources_of(pod).get(container)
        if own is not None:
            before, now = self.actuated.get(container), Actuated(own, pod.spec.resources)
            self.cgroup_is_behind |= before is not None and before != now
            self.actuated[container] = now
