"""Choose which dead containers and sandboxes of a Pod to remove. No I/O."""

from collections.abc import Iterator

from pykubelet.model.actions import RemoveContainer, RemoveSandbox
from pykubelet.model.observed import ContainerState, PodRuntime, SandboxState


def of_running_pod(seen: PodRuntime) -> Iterator[RemoveContainer | RemoveSandbox]:
    """What a Pod that goes on no longer needs: for each name the newest container and one dead predecessor stay.

    That predecessor is what `lastState` and `kubectl logs --previous` show. A sandbox goes when it is neither the
    newest nor holds any container.
    """
    newest: set[str] = set()
    predecessors: set[str] = set()
    for container in seen.containers:
        if container.name not in newest:
            newest.add(container.name)
        elif container.state is ContainerState.EXITED and container.name not in predecessors:
            predecessors.add(container.name)
        elif container.state in (ContainerState.EXITED, ContainerState.CREATED):
            yield RemoveContainer(container.id)
    occupied = {container.sandbox_id for container in seen.containers}
    for sandbox in seen.sandboxes[1:]:
        if sandbox.state is SandboxState.NOT_READY and sandbox.id not in occupied:
            yield RemoveSandbox(sandbox.id)


def of_gone_pod(seen: PodRuntime) -> Iterator[RemoveContainer | RemoveSandbox]:
    """Everything, once nothing runs: containers first (their logs go with them), then the empty sandboxes."""
    if seen.containers:
        yield from (RemoveContainer(container.id) for container in seen.containers)
    else:
        yield from (RemoveSandbox(sandbox.id) for sandbox in seen.sandboxes)
