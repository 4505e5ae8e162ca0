"""Labels and annotations of sandboxes and containers, as the genuine kubelet's: either adopts the other's. No I/O.

Source: pkg/kubelet/kuberuntime/labels.go, HashContainer in pkg/kubelet/container/helpers.go.
"""

from collections.abc import Mapping

from nodekit.objects import codec
from pykubelet.decide import hashing
from pykubelet.model import observed
from pykubelet.model.container import Container
from pykubelet.model.observed import CONTAINER_NAME_LABEL, POD_NAME_LABEL, POD_NAMESPACE_LABEL, POD_UID_LABEL
from pykubelet.model.pod import Pod

HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
TERMINATION_MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
TERMINATION_MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"
PRE_STOP = "io.kubernetes.container.preStopHandler"
PORTS = "io.kubernetes.container.ports"
DELETION_GRACE = "io.kubernetes.pod.deletionGracePeriod"
TERMINATION_GRACE = "io.kubernetes.pod.terminationGracePeriod"


def of_sandbox(pod: Pod) -> dict[str, str]:
    """The Pod's own labels and the three that say whose sandbox it is."""
    return {**pod.metadata.labels, **_of_pod(pod)}


def of_container(pod: Pod, container: Container) -> dict[str, str]:
    return {**_of_pod(pod), CONTAINER_NAME_LABEL: container.name}


def annotations_of_container(pod: Pod, container: Container, *, attempt: int) -> dict[str, str]:
    """What a kubelet that never saw the Pod needs to report and stop this container."""
    found = {
        HASH: f"{container_hash(container):x}",
        RESTART_COUNT: str(attempt),
        TERMINATION_MESSAGE_PATH: container.termination_message_path,
        TERMINATION_MESSAGE_POLICY: container.termination_message_policy,
        TERMINATION_GRACE: str(pod.spec.termination_grace_period_seconds),
    }
    if pod.metadata.deletion_grace_period_seconds is not None:
        found[DELETION_GRACE] = str(pod.metadata.deletion_grace_period_seconds)
    if container.lifecycle and container.lifecycle.pre_stop:
        found[PRE_STOP] = codec.encode(container.lifecycle.pre_stop).decode()
    if container.ports:
        found[PORTS] = codec.encode(container.ports).decode()
    return found


def restart_count(annotations: Mapping[str, str], *, otherwise: int) -> int:
    """How often a container was restarted, by its annotation; `otherwise` when it is absent or not a number."""
    text = annotations.get(RESTART_COUNT, "")
    return int(text) if text.isdigit() else otherwise


def container_hash(container: Container) -> int:
    """The genuine kubelet's hash of name and image, 32 bits: a container with another one is replaced.

    It is FNV-1a over what Go's spew prints for the JSON bytes of both fields.
    """
    fields = codec.encode({"image": container.image, "name": container.name})
    printed = f"([]uint8)[{' '.join(map(str, fields))}]"
    return hashing.fnv1a(printed.encode())


def has_changed(container: Container, seen: observed.Container) -> bool:
    """Whether the Pod now asks for another image than this instance was made from."""
    made_from = seen.annotations.get(HASH)
    return made_from is not None and made_from != f"{container_hash(container):x}"


def _of_pod(pod: Pod) -> dict[str, str]:
    meta = pod.metadata
    return {POD_NAME_LABEL: meta.name, POD_NAMESPACE_LABEL: meta.namespace, POD_UID_LABEL: meta.uid}
