"""Whether a Pod may run on this node beside those that already do."""

from collections.abc import Callable, Iterable

from nodekit.objects.node import Node
from pykubelet.decide import admission, resize
from pykubelet.decide.admission import Rejected
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import ResizePending


class NodeAdmission:
    """`node()` is the Node as the API has it, `active()` the Pods that were admitted and have not ended."""

    def __init__(self, *, node: Callable[[], Node | None], active: Callable[[], Iterable[Pod]]) -> None:
        self._node = node
        self._active = active

    def admit(self, pod: Pod) -> Rejected | None:
        """Why the Pod cannot run here; None if it can. While there is no Node yet every Pod may."""
        node = self._node()
        if node is None or not node.status.allocatable:
            return None
        static = pod.metadata.annotations.get("kubernetes.io/config.source", "api") != "api"
        return admission.of(pod, node, self._others(pod), is_static=static)

    def resize(self, pod: Pod) -> ResizePending | None:
        """Why a Pod that runs here cannot have the resources it asks for now; None if it can."""
        node = self._node()
        return resize.judge(pod, node, self._others(pod)) if node is not None and node.status.allocatable else None

    def _others(self, pod: Pod) -> Iterable[Pod]:
        return (other for other in self._active() if other.uid != pod.uid)
