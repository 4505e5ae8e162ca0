"""Decide what a node offers: its capacity, and what of it Pods may have. No I/O.

Source: MachineInfo in K/pkg/kubelet/nodestatus/setters.go, GetNodeAllocatableReservation in K/pkg/kubelet/cm.
"""

import struct
from collections.abc import Mapping
from typing import Final

from nodekit.objects.quantity import Quantity
from pykubelet.config.parts import Threshold
from pykubelet.decide import cgroups
from pykubelet.model.machine import Machine

CPU: Final = "cpu"
MEMORY: Final = "memory"
PODS: Final = "pods"
EPHEMERAL: Final = "ephemeral-storage"
HUGE_PAGES: Final = "hugepages-"
_SIGNALS: Final = {MEMORY: "memory.available", EPHEMERAL: "nodefs.available"}
_ZERO: Final = Quantity.of(0)


def capacity(machine: Machine, *, storage: int | None, max_pods: int, pods_per_core: int = 0) -> dict[str, Quantity]:
    """Everything there is; `storage` is the size of the kubelet's filesystem, None leaves it out."""
    pods = min(machine.cores * pods_per_core, max_pods) if pods_per_core else max_pods
    found = {
        CPU: Quantity.of(machine.cores),
        MEMORY: Quantity.of_bytes(machine.memory),
        PODS: Quantity.of(pods),
        **{f"{HUGE_PAGES}{Quantity.of_bytes(size)}": Quantity.of_bytes(n) for size, n in machine.huge_pages.items()},
    }
    if storage is not None:
        found[EPHEMERAL] = Quantity.of(storage)
    return dict(sorted(found.items()))


def reserved(
    whole: Mapping[str, Quantity], *, for_agents: tuple[Mapping[str, Quantity], ...], eviction: Mapping[str, Threshold]
) -> dict[str, Quantity]:
    """What is kept from Pods: kubeReserved and systemReserved, and what must stay free lest Pods be evicted."""
    kept: dict[str, Quantity] = {}
    for name in whole:
        parts = [given[name] for given in for_agents if name in given]
        threshold = eviction.get(_SIGNALS.get(name, ""))
        if threshold is not None and not threshold.off:
            parts.append(_amount(threshold, whole[name]))
        total = sum(parts, _ZERO)
        if total:
            kept[name] = total
    return kept


def allocatable(whole: Mapping[str, Quantity], kept: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """What Pods may have: never below nothing; huge pages are no memory for others."""
    left = {name: _at_least_nothing(amount - kept.get(name, _ZERO)) for name, amount in whole.items()}
    for name, amount in whole.items():
        if name.startswith(HUGE_PAGES) and MEMORY in left:
            left[MEMORY] = _at_least_nothing(left[MEMORY] - amount)
    return left


def enforced(machine: Machine, *, for_agents: tuple[Mapping[str, Quantity], ...], limited: bool) -> cgroups.Values:
    """What the cgroup of all Pods is set to: what agents do not get if `limited`, else all there is."""
    whole = capacity(machine, storage=None, max_pods=0)
    left = allocatable(whole, reserved(whole, for_agents=for_agents, eviction={})) if limited else whole
    return cgroups.Values(
        cpu_shares=cgroups.shares(left[CPU].milli),
        memory_limit=left[MEMORY].value,
        pids_limit=machine.max_pids,
        hugepages=cgroups.hugepage_limits(left, machine.huge_pages),
    )


def _amount(threshold: Threshold, whole: Quantity) -> Quantity:
    if threshold.amount is not None:
        return threshold.amount
    # The genuine kubelet keeps a percentage as a 32-bit float: the same bytes come out only if we do too.
    return Quantity.of_bytes(int(whole.value * _single(_single((threshold.fraction or 0.0) * 100) / 100)))


def _single(number: float) -> float:
    return float(struct.unpack("f", struct.pack("f", number))[0])


def _at_least_nothing(amount: Quantity) -> Quantity:
    return amount if amount.nanos >= 0 else Quantity(0, amount.form)
