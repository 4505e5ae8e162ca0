"""Where Pods stand in the cgroup tree and what values their cgroups get. No I/O.

Names are paths below a hierarchy's root. Source: pkg/kubelet/cm (helpers_linux.go, qos_container_manager_linux.go).
"""

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import TypeAlias

from nodekit.objects import quantity
from nodekit.objects.quantity import Quantity
from pykubelet.decide import critical, qos, resources
from pykubelet.model.container import Container
from pykubelet.model.pod import Pod
from pykubelet.model.runtime_config import HugepageLimit, LinuxResources

_MIN_SHARES, _MAX_SHARES = 2, 262_144
_MIN_QUOTA_US = 1000
PERIOD_US = 100_000

UnifiedFiles: TypeAlias = Mapping[str, str] | None
"""What is written to a container's files of cgroup v2 beside its values; None on cgroup v1."""


def unified_files(*, single_process_oom_kill: bool | None) -> Mapping[str, str]:
    """Those for every container: when memory runs out all of it is killed, unless the node is set otherwise."""
    # What a kubelet with memory throttling set before must not stay.
    files = {"memory.high": "max"}
    return files if single_process_oom_kill else {**files, "memory.oom.group": "1"}


@dataclasses.dataclass(frozen=True, slots=True)
class Swap:
    """Of a kernel that can keep containers from swapping. `for_pods`: bytes that Burstable Pods share; 0 is none."""

    for_pods: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """What the values of containers depend on beside their Pod; sizes in bytes.

    `page_sizes`: the huge pages that the kernel knows. `swap`: None if it cannot limit swap.
    """

    memory: int
    enforce_cpu_quota: bool = True
    unified: UnifiedFiles = None
    page_sizes: Collection[int] = ()
    swap: Swap | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Values:
    """What a Pod's or a QoS class's cgroup is set to. 0 is "not set"; memory in bytes, quota in us of `PERIOD_US`."""

    cpu_shares: int = 0
    cpu_quota_us: int = 0
    memory_limit: int = 0
    pids_limit: int = 0
    hugepages: tuple[HugepageLimit, ...] = ()


def shares(milli_cpu: int) -> int:
    """cpu.shares for a request in thousandths of a core; never less than the kernel's 2."""
    return max(_MIN_SHARES, min(_MAX_SHARES, milli_cpu * 1024 // 1000))


def quota(milli_cpu: int) -> int:
    """CFS quota in us of `PERIOD_US` for thousandths of a core; 0 (none) for no limit, else at least 1 ms."""
    return max(_MIN_QUOTA_US, milli_cpu * PERIOD_US // 1000) if milli_cpu else 0


def weight(cpu_shares: int) -> int:
    """cpu.weight (1..10000, cgroup v2) for shares, as runc converts them (opencontainers/cgroups)."""
    if cpu_shares == 0:
        return 0
    if cpu_shares <= _MIN_SHARES:
        return 1
    if cpu_shares >= _MAX_SHARES:
        return 10_000
    # A curve through (2, 1), (1024, 100), (262144, 10000): ceil(10 ** ((l*l + 125*l) / 612 - 7/34)), l = log2(shares).
    log = math.log2(cpu_shares)
    return math.ceil(10 ** ((log * log + 125 * log) / 612.0 - 7.0 / 34.0))


def qos_parent(root: str, class_: str) -> str:
    """The cgroup under which Pods of a QoS class stand: Guaranteed ones directly below kubepods."""
    base = f"{root.rstrip('/')}/kubepods"
    return base if class_ == qos.GUARANTEED else f"{base}/{class_.lower()}"


def pod_path(root: str, pod: Pod) -> str:
    """A Pod's cgroup, with the cgroupfs driver."""
    return f"{qos_parent(root, qos.of(pod))}/pod{pod.uid}"


def as_slice(path: str) -> str:
    """The systemd slice for a cgroup, with those it stands in: `/a/b` is `/a.slice/a-b.slice`.

    A dash says "below" to systemd, so one inside a name becomes an underscore.
    """
    found, name = "", ""
    for part in path.strip("/").split("/"):
        name = f"{name}-{part.replace('-', '_')}" if name else part.replace("-", "_")
        found += f"/{name}.slice"
    return found


def uid_of(name: str) -> str | None:
    """The UID of the Pod whose cgroup or slice has this name; None if it is none of a Pod's."""
    if name.endswith(".slice"):
        last = name.removesuffix(".slice").rsplit("-", 1)[-1]
        return last.removeprefix("pod").replace("_", "-") if last.startswith("pod") else None
    return name.removeprefix("pod") if name.startswith("pod") else None


def of_pod(
    pod: Pod, *, pids_limit: int = 0, enforce_cpu_quota: bool = True, page_sizes: Collection[int] = ()
) -> Values:
    """A Pod's cgroup: a limit counts only if every container has one. `page_sizes` as `Machine` has them."""
    requests, limits = resources.pod_requests(pod), resources.pod_limits(pod)
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    cpu, memory = (_limited(pod, containers, name) for name in (resources.CPU, resources.MEMORY))
    class_ = qos.of(pod)
    request = requests.get(resources.CPU, resources.ZERO).milli
    values = Values(
        cpu_shares=_MIN_SHARES if class_ == qos.BEST_EFFORT else shares(request),
        pids_limit=pids_limit,
        hugepages=hugepage_limits(limits, page_sizes),
    )
    if class_ == qos.BEST_EFFORT:
        return values
    return dataclasses.replace(
        values,
        cpu_quota_us=quota(limits[resources.CPU].milli) if cpu and enforce_cpu_quota else 0,
        memory_limit=limits[resources.MEMORY].value if memory else 0,
    )


def requested_cpu(pod: Pod) -> int:
    """What the Pod requests, in thousandths of a core; a QoS class weighs what its Pods request together."""
    return resources.pod_requests(pod).get(resources.CPU, resources.ZERO).milli


def of_container(pod: Pod, container: Container, machine: Machine) -> LinuxResources:
    """The values the runtime sets on one container."""
    requests, limits = resources.amounts(container.resources.requests), resources.amounts(container.resources.limits)
    whole = resources.amounts(pod.spec.resources.limits) if pod.spec.resources else {}
    limit = limits.get(resources.CPU, resources.ZERO) or whole.get(resources.CPU, resources.ZERO)
    request = requests.get(resources.CPU, limit)
    memory = limits.get(resources.MEMORY, resources.ZERO) or whole.get(resources.MEMORY, resources.ZERO)
    unified, swap_limit = machine.unified or {}, 0
    if machine.swap is not None and machine.unified is not None:
        unified = {**unified, "memory.swap.max": str(_swap(pod, container, machine, machine.swap))}
    elif machine.swap is not None:
        swap_limit = memory.value  # of memory and swap together
    return LinuxResources(
        cpu_period=PERIOD_US if machine.enforce_cpu_quota else 0,
        cpu_quota=quota(limit.milli) if machine.enforce_cpu_quota else 0,
        cpu_shares=shares(request.milli),
        memory_limit=memory.value,
        memory_swap_limit=swap_limit,
        oom_score_adj=qos.oom_score_adj(pod, container, memory_capacity=machine.memory),
        hugepage_limits=hugepage_limits({**whole, **limits}, machine.page_sizes),
        unified=unified,
    )


def _swap(pod: Pod, container: Container, machine: Machine, swap: Swap) -> int:
    """How much a container may swap, in bytes: its share of memory, of the swap that there is.

    Nothing for what must answer at once: critical Pods, other classes than Burstable, memory that is asked for in full.
    Source: GetContainerSwapBehavior and calcSwapForBurstablePods in kuberuntime_container_linux.go.
    """
    limits = resources.amounts(container.resources.limits)
    limit = limits.get(resources.MEMORY, resources.ZERO).value
    request = {**limits, **resources.amounts(container.resources.requests)}.get(resources.MEMORY, resources.ZERO).value
    if critical.is_critical(pod) or qos.of(pod) != qos.BURSTABLE or request == limit or request > machine.memory:
        return 0
    return int(request / machine.memory * swap.for_pods)


def hugepage_limits(limits: Mapping[str, Quantity], page_sizes: Collection[int]) -> tuple[HugepageLimit, ...]:
    """Limits by page size, named as the cgroup files are: `2MB`, `1GB`. Those that are not asked for are 0: none."""
    asked = {
        quantity.parse(name.removeprefix(resources.HUGEPAGES)).value: amount.value
        for name, amount in limits.items()
        if name.startswith(resources.HUGEPAGES)
    }
    return tuple(HugepageLimit(page_size=_page_size(size), limit=asked.get(size, 0)) for size in sorted(page_sizes))


def _page_size(size: int) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size}{unit}"
        size //= 1024
    raise AssertionError(size)


def _limited(pod: Pod, containers: tuple[Container, ...], name: str) -> bool:
    if pod.spec.resources and resources.amounts(pod.spec.resources.limits).get(name):
        return True
    return all(resources.amounts(container.resources.limits).get(name) for container in containers)
