"""Find in what the runtime has of a Pod the containers and sandboxes a decision is about. No I/O."""

from collections.abc import Iterator

from pykubelet.model import actions, observed
from pykubelet.model.actions import Kind
from pykubelet.model.container import Container
from pykubelet.model.ids import SandboxId
from pykubelet.model.observed import ContainerState
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import PodState


def named(seen: observed.PodRuntime, name: str) -> Iterator[observed.Container]:
    """Every container of that name, newest first."""
    return (container for container in seen.containers if container.name == name)


def newest(seen: observed.PodRuntime, name: str, *, sandbox: SandboxId | None = None) -> observed.Container | None:
    """The last container made under that name (in that sandbox, if one is given), whatever its state."""
    return next((c for c in named(seen, name) if sandbox is None or c.sandbox_id == sandbox), None)


def running(seen: observed.PodRuntime) -> tuple[observed.Container, ...]:
    """The containers that run, and those that may: of an unknown state nothing else can be said."""
    return tuple(c for c in seen.containers if c.state in (ContainerState.RUNNING, ContainerState.UNKNOWN))


def is_sidecar(container: Container, kind: Kind) -> bool:
    """Whether it is an init container that keeps running beside the regular ones."""
    return kind is Kind.INIT and container.restart_policy == "Always"


def is_under_way(state: PodState, prefix: str) -> bool:
    """Whether an operation runs whose key is `prefix` or starts with `prefix/`."""
    return any(key == prefix or key.startswith(f"{prefix}/") for key in state.under_way)


def is_starting(state: PodState, name: str) -> bool:
    """Whether the container is being created or started, or runs its postStart hook."""
    return actions.OpKey(f"start/{name}") in state.under_way


def spec_of(pod: Pod, name: str) -> tuple[Container, Kind] | None:
    """What the Pod asks for under that name, and in which of its lists."""
    for kind, containers in (
        (Kind.REGULAR, pod.spec.containers),
        (Kind.INIT, pod.spec.init_containers),
        (Kind.EPHEMERAL, pod.spec.ephemeral_containers),
    ):
        for container in containers:
            if container.name == name:
                return container, kind
    return None
