"""How things are called where they are counted: the labels of metrics. No I/O."""

from typing import Final

from pykubelet.model.actions import Kind
from pykubelet.model.pod import Pod

TYPES: Final = {
    Kind.INIT: "init_container",
    Kind.REGULAR: "container",
    Kind.EPHEMERAL: "ephemeral_container",
}
# Source: admissionRejectionReasons in K/pkg/kubelet/kubelet.go.
_REJECTIONS: Final = frozenset(
    (
        *("AppArmor", "PodOSSelectorNodeLabelDoesNotMatch", "PodOSNotSupported", "InvalidNodeInfo", "UnknownReason"),
        *("InitContainerRestartPolicyForbidden", "SupplementalGroupsPolicyNotSupported", "UnexpectedAdmissionError"),
        *("UnexpectedPredicateFailureType", "OutOfcpu", "OutOfmemory", "OutOfephemeral-storage", "OutOfpods"),
        *("PodLevelResourcesNotSupported", "PodFeatureUnsupported", "Evicted", "SysctlForbidden", "NodeShutdown"),
        *("TopologyAffinityError", "VolumeAttachmentLimitExceeded", "node(s) had taints that the pod didn't tolerate"),
    )
)
# Source: GetPriorityBucketLabel in K/pkg/kubelet/metrics/metrics.go: at least so much.
_PRIORITIES: Final = (
    (2_000_000_000, "system-critical"),
    (100_000, "high"),
    (1, "medium"),
    (0, "normal"),
    (-999, "low"),
)
_MIB: Final = 1024 * 1024
# Source: imageSizeBuckets in K/pkg/kubelet/metrics/metrics.go: more than so many MiB.
_IMAGE_SIZES: Final = (
    *((102400, "GT100GB"), (61440, "60GB-100GB"), (40960, "40GB-60GB"), (30720, "30GB-40GB"), (20480, "20GB-30GB")),
    *((10240, "10GB-20GB"), (5120, "5GB-10GB"), (1024, "1GB-5GB"), (500, "500MB-1GB"), (100, "100MB-500MB")),
    *((10, "10MB-100MB"), (0, "0-10MB")),
)


def rejection(reason: str) -> str:
    """The label of an admission that was refused."""
    if reason in _REJECTIONS:
        return reason
    return "OutOfExtendedResources" if reason.startswith("OutOf") else "Other"


def image_size(size: int) -> str:
    """The label of an image of so many bytes."""
    return next((label for least, label in _IMAGE_SIZES if size > least * _MIB), "N/A")


def priority(pod: Pod) -> str:
    """The word for how important a Pod is."""
    return next((word for least, word in _PRIORITIES if pod.spec.priority >= least), "very-low")


def configured(pod: Pod) -> str:
    """Where a Pod asks for resources, as the genuine kubelet counts it; empty if nowhere."""
    of_pod = pod.spec.resources is not None and bool(pod.spec.resources.requests or pod.spec.resources.limits)
    containers = (*pod.spec.containers, *pod.spec.init_containers)
    of_containers = any(one.resources.requests or one.resources.limits for one in containers)
    if of_pod:
        return "pod_and_container_level" if of_containers else "pod_level"
    return "container_level" if of_containers else ""
