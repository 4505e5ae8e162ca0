"""Whether a Pod may run on this node beside those that already do."""

from collections.abc import Callable, Iterable, Mapping

from nodekit.objects.node import Node
from pykubelet.decide import admission, critical, preemption, pressure, resize, sysctls
from pykubelet.decide.admission import Rejected
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import ResizePending


class NodeAdmission:
    """`node()` is the Node as the API has it, `active()` the Pods that were admitted and have not ended, `staying()`
    those of them that are not ending; `conditions()` what the node is short of (MemoryPressure, ...), `closed()` why
    nobody may come at all; `devices(pod)` how many devices of each resource a Pod has been
    given already; `apparmor`: the machine has it; `unsafe_sysctls` are those that Pods may set all the same."""

    def __init__(
        self,
        *,
        node: Callable[[], Node | None],
        active: Callable[[], Iterable[Pod]],
        staying: Callable[[], Iterable[Pod]],
        conditions: Callable[[], frozenset[str]] = frozenset,
        closed: Callable[[], Rejected | None] = lambda: None,
        devices: Callable[[Pod], Mapping[str, int]] = lambda pod: {},
        apparmor: bool = True,
        unsafe_sysctls: tuple[str, ...] = (),
    ) -> None:
        self._node = node
        self._active = active
        self._staying = staying
        self._conditions = conditions
        self._closed = closed
        self._devices = devices
        self._apparmor = apparmor
        self._unsafe_sysctls = unsafe_sysctls

    def admit(self, pod: Pod) -> Rejected | None:
        """Why the Pod cannot run here; None if it can. While there is no Node yet every Pod may."""
        node = self._node()
        refused = self._refuses(pod)
        if refused is not None:
            return refused
        if node is None or not node.status.allocatable:
            return None
        node = admission.with_devices(node, self._devices(pod))
        return admission.of(pod, node, _but(pod, self._active()), is_static=critical.is_static(pod))

    def room_for(self, pod: Pod) -> tuple[Pod, ...] | None:
        """The Pods that have to end so that a refused one fits; none if enough are ending already.

        None if ending Pods would not help, or the Pod is not critical.
        """
        node = self._node()
        if node is None or not critical.is_critical(pod) or self._refuses(pod) is not None:
            return None
        node = admission.with_devices(node, self._devices(pod))
        staying = tuple(_but(pod, self._staying()))
        if admission.unfit(pod, node, staying, is_static=critical.is_static(pod)) is not None:
            return None
        return preemption.victims(pod, staying, admission.lacking(pod, node, staying))

    def _refuses(self, pod: Pod) -> Rejected | None:
        # What has to do neither with the Node nor with other Pods.
        return (
            self._closed()
            or pressure.refuses(pod, self._conditions())
            or sysctls.refused(pod, self._unsafe_sysctls)
            or admission.confinement(pod, apparmor=self._apparmor)
        )

    def resize(self, pod: Pod) -> ResizePending | None:
        """Why a Pod that runs here cannot have the resources it asks for now; None if it can."""
        node = self._node()
        if node is None or not node.status.allocatable:
            return None
        return resize.judge(pod, node, _but(pod, self._active()))


def _but(pod: Pod, pods: Iterable[Pod]) -> Iterable[Pod]:
    return (other for other in pods if other.uid != pod.uid)
