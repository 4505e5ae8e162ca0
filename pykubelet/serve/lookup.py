"""What the server asks the rest of the agent: the Pods of this node. It reaches no further."""

from collections.abc import Sequence
from typing import Protocol

from pykubelet.cri import runtime_api
from pykubelet.model import observed
from pykubelet.model.container import Container
from pykubelet.model.pod import Pod


class Pods(Protocol):
    """The Pods bound to this node, with the newest status this agent knows."""

    def by_name(self, namespace: str, name: str) -> Pod | None:
        """A static Pod is found by its mirror's name too; its uid is the one in the runtime's labels."""
        ...

    def all(self) -> Sequence[Pod]: ...


def container_spec(pod: Pod, name: str) -> Container | None:
    for container in (*pod.spec.containers, *pod.spec.init_containers, *pod.spec.ephemeral_containers):
        if container.name == name:
            return container
    return None


async def containers(runtime: runtime_api.ContainerCalls, pod: Pod, name: str) -> tuple[observed.Container, ...]:
    """The runtime's containers of this name in this Pod that were started, newest first, without details."""
    labels = {observed.POD_UID_LABEL: pod.uid, observed.CONTAINER_NAME_LABEL: name}
    found = await runtime.list_containers(labels=labels)
    return tuple(c for c in found if c.state is not observed.ContainerState.CREATED)
