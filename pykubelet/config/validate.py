"""What the values of a KubeletConfiguration must fulfil together, beyond each field's own type and range.

Source: pkg/kubelet/apis/config/validation/validation.go of Kubernetes 1.37.
"""

import ipaddress
from collections.abc import Iterable, Iterator

from nodekit.config import Document, Problem
from pykubelet.config import parts
from pykubelet.config.settings import Settings
from pykubelet.model import image_names, sysctls

_ENFORCEMENTS = {
    "none",
    "pods",
    "system-reserved",
    "system-reserved-compressible",
    "kube-reserved",
    "kube-reserved-compressible",
}


def problems(document: Document[Settings]) -> Iterator[Problem]:
    """Every contradiction, at the line of the field that a person would change."""
    yield from _addresses(document)
    yield from _images(document)
    yield from _eviction(document)
    yield from _enforcement(document)
    yield from _shutdown(document)
    yield from _rest(document)


def _addresses(document: Document[Settings]) -> Iterator[Problem]:
    settings = document.settings
    addresses = [("address", settings.address), ("healthzBindAddress", settings.healthz_bind_address)]
    addresses += [(f"clusterDNS[{number}]", server) for number, server in enumerate(settings.cluster_dns)]
    for path, address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            yield document.problem(path, f"expected an IP address, got {address!r}")


def _images(document: Document[Settings]) -> Iterator[Problem]:
    settings = document.settings
    low, high = settings.image_gc_low_threshold_percent, settings.image_gc_high_threshold_percent
    if low >= high:
        yield document.problem(
            "imageGCLowThresholdPercent", f"{low} must be less than imageGCHighThresholdPercent, which is {high}"
        )
    if 0 < settings.image_maximum_gc_age <= settings.image_minimum_gc_age:
        yield document.problem("imageMaximumGCAge", "must be greater than imageMinimumGCAge")
    if settings.serialize_image_pulls and (settings.max_parallel_image_pulls or 1) > 1:
        yield document.problem("maxParallelImagePulls", "more than 1 needs serializeImagePulls: false")
    if (
        settings.preloaded_images_verification_allowlist
        and settings.image_pull_credentials_verification_policy != "NeverVerifyAllowlistedImages"
    ):
        yield document.problem(
            "preloadedImagesVerificationAllowlist",
            "needs imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages",
        )
    for index, pattern in enumerate(settings.preloaded_images_verification_allowlist):
        if not _is_image_pattern(pattern):
            yield document.problem(
                f"preloadedImagesVerificationAllowlist[{index}]",
                f"expected an image without tag and digest, or REGISTRY/*, got {pattern!r}",
            )


def _is_image_pattern(pattern: str) -> bool:
    if pattern.endswith("/*"):
        start = pattern.removesuffix("/*")
        return bool(start) and "*" not in start and pattern == pattern.strip()
    return image_names.full(pattern) is not None and image_names.bare(pattern) == pattern


def _eviction(document: Document[Settings]) -> Iterator[Problem]:
    settings = document.settings
    tables: dict[str, Iterable[str]] = {
        "evictionHard": settings.eviction_hard,
        "evictionSoft": settings.eviction_soft,
        "evictionSoftGracePeriod": settings.eviction_soft_grace_period,
        "evictionMinimumReclaim": settings.eviction_minimum_reclaim,
    }
    for name, table in tables.items():
        for signal in table:
            if signal not in parts.EVICTION_SIGNALS:
                known = ", ".join(sorted(parts.EVICTION_SIGNALS))
                yield document.problem(f"{name}[{signal}]", f"unknown signal; known: {known}")
    for signal in settings.eviction_soft:
        if signal not in settings.eviction_soft_grace_period:
            yield document.problem(f"evictionSoft[{signal}]", "needs an entry in evictionSoftGracePeriod")


def _enforcement(document: Document[Settings]) -> Iterator[Problem]:
    settings = document.settings
    wanted = settings.enforce_node_allocatable
    path = "enforceNodeAllocatable"
    for number, name in enumerate(wanted):
        at = f"{path}[{number}]"
        if name not in _ENFORCEMENTS:
            yield document.problem(at, f"expected one of {', '.join(sorted(_ENFORCEMENTS))}, got {name!r}")
        elif name in wanted[:number]:
            yield document.problem(at, f"{name!r} stands twice")
        elif name != "none" and not settings.cgroups_per_qos:
            yield document.problem(at, f"{name!r} needs cgroupsPerQOS: true")
        if name.startswith("system-reserved") and not settings.system_reserved_cgroup:
            yield document.problem(at, f"{name!r} needs systemReservedCgroup")
        if name.startswith("kube-reserved") and not settings.kube_reserved_cgroup:
            yield document.problem(at, f"{name!r} needs kubeReservedCgroup")
    if "none" in wanted and len(wanted) > 1:
        yield document.problem(path, "'none' cannot stand beside others")
    for name in ("system-reserved", "kube-reserved"):
        if name in wanted and f"{name}-compressible" in wanted:
            yield document.problem(path, f"'{name}' and '{name}-compressible' exclude each other")


def _shutdown(document: Document[Settings]) -> Iterator[Problem]:
    settings = document.settings
    whole, critical = settings.shutdown_grace_period, settings.shutdown_grace_period_critical_pods
    if critical > whole:
        yield document.problem("shutdownGracePeriodCriticalPods", "must not be longer than shutdownGracePeriod")
    for path, seconds in (("shutdownGracePeriod", whole), ("shutdownGracePeriodCriticalPods", critical)):
        if 0 < seconds < 1:
            yield document.problem(path, "must be 0 or at least 1s")
    if settings.shutdown_grace_period_by_pod_priority and (whole or critical):
        yield document.problem("shutdownGracePeriodByPodPriority", "cannot stand beside shutdownGracePeriod")


def _rest(document: Document[Settings]) -> Iterator[Problem]:
    settings = document.settings
    for number, pattern in enumerate(settings.allowed_unsafe_sysctls):
        if sysctls.namespace_of(pattern) is None:
            yield document.problem(
                f"allowedUnsafeSysctls[{number}]", f"the sysctls {pattern!r} are not known to be namespaced"
            )
    if settings.run_once:
        yield document.problem("runOnce", "is no longer supported")
    if settings.system_cgroups and not settings.cgroup_root:
        yield document.problem("systemCgroups", "needs cgroupRoot")
    if settings.reserved_system_cpus and (settings.system_reserved_cgroup or settings.kube_reserved_cgroup):
        yield document.problem("reservedSystemCPUs", "excludes systemReservedCgroup and kubeReservedCgroup")
    if settings.enable_system_log_query and not settings.enable_system_log_handler:
        yield document.problem("enableSystemLogQuery", "needs enableSystemLogHandler: true")
    if not settings.pod_logs_dir.startswith("/") or not settings.pod_logs_dir.isascii():
        yield document.problem("podLogsDir", f"expected an absolute ASCII path, got {settings.pod_logs_dir!r}")
    factor = settings.memory_throttling_factor
    if factor is not None and not 0 < factor <= 1:
        yield document.problem("memoryThrottlingFactor", f"expected a number above 0 and up to 1, got {factor:g}")
    for number, taint in enumerate(settings.register_with_taints):
        at = f"registerWithTaints[{number}]"
        if not taint.key or not taint.effect:
            yield document.problem(at, "a taint needs a key and an effect")
        if taint.time_added is not None:
            yield document.problem(f"{at}.timeAdded", "cannot be set")
