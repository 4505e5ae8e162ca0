"""Tells people what happens to Pods and to the Node, in the genuine kubelet's words. Never blocks its caller."""

from typing import Final

from nodekit.aio.clock import Clock
from nodekit.kube import events
from nodekit.kube.client import Client
from nodekit.objects import meta
from pykubelet.model.kinds import PODS
from pykubelet.model.pod import Pod
from pykubelet.report import ports

COMPONENT: Final = "kubelet"
NORMAL: Final = "Normal"
WARNING: Final = "Warning"


class Recorder:
    """Satisfies act.ports.Recorder. Run it as a task."""

    def __init__(self, client: Client, node: ports.OwnNode, *, clock: Clock) -> None:
        self._node = node
        self._events = events.Recorder(client, component=COMPONENT, host=node.name, clock=clock)

    def event(self, pod: Pod, type_: str, reason: str, message: str, *, container: str = "") -> None:
        """Something happened to a Pod, or to the container of that name in it."""
        about = PODS.reference(pod, field_path=field_path(pod, container))
        self._record(about, type_, reason, message)

    def of_node(self, type_: str, reason: str, message: str) -> None:
        """Something happened to the Node; its UID goes along once it is known."""
        node = self._node.current
        uid = node.metadata.uid if node is not None else ""
        self._record(
            meta.ObjectReference(api_version="v1", kind="Node", name=self._node.name, uid=uid), type_, reason, message
        )

    async def run(self) -> None:
        """Send until cancelled."""
        await self._events.run()

    def _record(self, about: meta.ObjectReference, type_: str, reason: str, message: str) -> None:
        record = self._events.warning if type_ == WARNING else self._events.normal
        record(about, reason, message=message)


def field_path(pod: Pod, container: str) -> str:
    """Where a container stands in its Pod, as events name it: `spec.containers{web}`."""
    spec = pod.spec
    for field, containers in (
        ("containers", spec.containers),
        ("initContainers", spec.init_containers),
        ("ephemeralContainers", spec.ephemeral_containers),
    ):
        if any(asked.name == container for asked in containers):
            return f"spec.{field}{{{container}}}"
    return ""
