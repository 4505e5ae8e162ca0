"""Tell the Pods a node cannot do without from the others. No I/O. Source: K/pkg/kubelet/types/pod_update.go."""

from typing import Final

from pykubelet.model.pod import Pod

SYSTEM_CRITICAL_PRIORITY: Final = 2_000_000_000
SOURCE_ANNOTATION: Final = "kubernetes.io/config.source"
MIRROR_ANNOTATION: Final = "kubernetes.io/config.mirror"


def is_static(pod: Pod) -> bool:
    """Whether it comes from a file of this node."""
    return pod.metadata.annotations.get(SOURCE_ANNOTATION, "api") != "api"


def is_critical(pod: Pod) -> bool:
    """Whether the node's own working may depend on it: it is not evicted, and others make room for it."""
    annotations = pod.metadata.annotations
    return is_static(pod) or MIRROR_ANNOTATION in annotations or pod.spec.priority >= SYSTEM_CRITICAL_PRIORITY


def makes_room_for(pod: Pod, newcomer: Pod) -> bool:
    """Whether a Pod may be ended so that a newcomer fits."""
    return (is_critical(newcomer) and not is_critical(pod)) or newcomer.spec.priority > pod.spec.priority
