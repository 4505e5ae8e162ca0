"""Choose which of a Pod's sandboxes its containers run in, and whether it needs a new one. No I/O."""

import dataclasses

from pykubelet.model.ids import SandboxId
from pykubelet.model.observed import PodRuntime, Sandbox, SandboxState
from pykubelet.model.pod import Pod

NONE = "no pod sandbox exists"
NOT_READY = "pod sandbox is not ready"
NO_ADDRESS = "pod sandbox has no IP address"


@dataclasses.dataclass(frozen=True, slots=True)
class Current:
    """`usable` is where containers may start; without one `problem` says why and `next_attempt` numbers the new one."""

    usable: Sandbox | None
    next_attempt: int = 0
    problem: str = ""

    @property
    def id(self) -> SandboxId | None:
        return self.usable.id if self.usable else None


def current(pod: Pod, seen: PodRuntime) -> Current:
    """The newest sandbox if it works. An older one is never gone back to."""
    if not seen.sandboxes:
        return Current(None, 0, NONE)
    newest = seen.sandboxes[0]
    attempt = max(sandbox.attempt for sandbox in seen.sandboxes) + 1
    if newest.state is not SandboxState.READY:
        return Current(None, attempt, NOT_READY)
    if newest.detailed and not newest.ips and not pod.spec.host_network:
        return Current(None, attempt, NO_ADDRESS)
    return Current(newest)
