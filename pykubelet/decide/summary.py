"""Put together what a Pod uses from what the runtime measured and what its files take. No I/O.

Source: K/pkg/kubelet/stats/cri_stats_provider.go for which numbers stand where.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pykubelet.model import observed, stats
from pykubelet.model import summary as told
from pykubelet.model.machine import Filesystem
from pykubelet.model.usage import ContainerUsage, PodUsage


@dataclass(frozen=True, slots=True)
class VolumeSize:
    """Bytes and files; `own` is its filesystem if it does not lie on the node's disk (memory, a mounted device).

    `claim` is the namespace and name of the claim that it came by.
    """

    used: int
    inodes: int
    own: Filesystem | None = None
    claim: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """What a Pod's files take: logs as (bytes, files) by container name, volumes by name."""

    logs: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    volumes: Mapping[str, VolumeSize] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Disks:
    """The filesystems that files lie on: the kubelet's own, and the one of images and writable layers.

    `apart`: they are two.
    """

    node: Filesystem
    images: Filesystem
    apart: bool = False


def of_pod(
    measured: stats.SandboxStats, seen: observed.PodRuntime | None, files: Files, disks: Disks, *, now: dt.datetime
) -> told.PodStats:
    """One Pod with its running containers."""
    started = _starts(seen)
    containers = tuple(_container(one, started, files, disks, now=now) for one in measured.containers)
    volumes = tuple(_volume(name, size, disks.node, now=now) for name, size in sorted(files.volumes.items()))
    parts = [volume for volume in volumes if files.volumes[volume.name].own is None]
    local: list[told.FsStats] = [*parts, *(fs for one in containers for fs in (one.rootfs, one.logs) if fs is not None)]
    return told.PodStats(
        pod_ref=told.PodReference(name=measured.name, namespace=measured.namespace, uid=measured.uid),
        start_time=exact(started.get(measured.id, 0.0)),
        containers=containers,
        cpu=cpu(measured.cpu),
        memory=memory(measured.memory),
        io=io(measured.io),
        network=network(measured.network),
        volume_stats=volumes,
        ephemeral_storage=filesystem(
            disks.node,
            now=now,
            used=sum(part.used_bytes or 0 for part in local),
            inodes=sum(part.inodes_used or 0 for part in local),
        ),
        swap=_swap(measured.swap),
        process_stats=told.ProcessStats(process_count=measured.processes) if measured.processes is not None else None,
    )


def usage(pod: told.PodStats) -> PodUsage:
    """The same, as decisions about eviction need it."""
    storage = pod.ephemeral_storage
    layers = [one.rootfs for one in pod.containers if one.rootfs is not None]
    return PodUsage(
        memory=pod.memory.working_set_bytes if pod.memory is not None else None,
        disk=storage.used_bytes if storage is not None else None,
        inodes=storage.inodes_used if storage is not None else None,
        layers=sum(layer.used_bytes or 0 for layer in layers),
        layer_inodes=sum(layer.inodes_used or 0 for layer in layers),
        processes=pod.process_stats.process_count if pod.process_stats is not None else None,
        containers={
            one.name: ContainerUsage(
                memory=one.memory.working_set_bytes if one.memory is not None else None,
                disk=sum(fs.used_bytes or 0 for fs in (one.rootfs, one.logs) if fs is not None),
                logs=one.logs.used_bytes if one.logs is not None else None,
            )
            for one in pod.containers
        },
        volumes={one.name: one.used_bytes or 0 for one in pod.volume_stats},
    )


def filesystem(disk: Filesystem, *, now: dt.datetime, used: int, inodes: int) -> told.FsStats:
    """What somebody takes of a filesystem."""
    return told.FsStats(
        time=now,
        available_bytes=disk.available,
        capacity_bytes=disk.capacity,
        used_bytes=used,
        inodes_free=disk.inodes_free,
        inodes=disk.inodes,
        inodes_used=inodes,
    )


def exact(at: float) -> dt.datetime:
    """A time with its fraction: rates are made from two of them."""
    return dt.datetime.fromtimestamp(at, dt.UTC)


def cpu(measured: stats.Cpu | None) -> told.CPUStats | None:
    """CPU as it is told."""
    if measured is None:
        return None
    return told.CPUStats(
        time=exact(measured.at),
        usage_nano_cores=measured.nanocores,
        usage_core_nano_seconds=measured.core_nanoseconds,
        psi=_psi(measured.psi),
    )


def memory(measured: stats.Memory | None) -> told.MemoryStats | None:
    """Memory as it is told."""
    if measured is None:
        return None
    return told.MemoryStats(
        time=exact(measured.at),
        # Without a limit nothing is left of it: runtimes say 0, which would read as "none left".
        available_bytes=measured.available or None,
        usage_bytes=measured.usage,
        working_set_bytes=measured.working_set,
        rss_bytes=measured.rss,
        page_faults=measured.page_faults,
        major_page_faults=measured.major_page_faults,
        psi=_psi(measured.psi),
    )


def _container(
    measured: stats.ContainerStats, started: Mapping[str, float], files: Files, disks: Disks, *, now: dt.datetime
) -> told.ContainerStats:
    layer = measured.writable_layer
    logs_used, logs_inodes = files.logs.get(measured.name, (0, 0))
    rootfs = None
    if layer is not None:
        rootfs = filesystem(disks.images, now=exact(layer.at), used=layer.used_bytes, inodes=layer.inodes_used)
    return told.ContainerStats(
        name=measured.name,
        start_time=exact(started.get(measured.id, 0.0)),
        cpu=cpu(measured.cpu),
        memory=memory(measured.memory),
        io=io(measured.io),
        rootfs=rootfs,
        logs=filesystem(disks.node, now=now, used=logs_used, inodes=logs_inodes),
        swap=_swap(measured.swap),
    )


def _volume(name: str, size: VolumeSize, node: Filesystem, *, now: dt.datetime) -> told.VolumeStats:
    disk = size.own or node
    return told.VolumeStats(
        time=now,
        available_bytes=disk.available,
        capacity_bytes=disk.capacity,
        used_bytes=size.used,
        inodes_free=disk.inodes_free,
        inodes=disk.inodes,
        inodes_used=size.inodes,
        name=name,
        pvc_ref=told.PVCReference(namespace=size.claim[0], name=size.claim[1]) if size.claim is not None else None,
    )


def _starts(seen: observed.PodRuntime | None) -> dict[str, float]:
    if seen is None:
        return {}
    found: Iterable[observed.Sandbox | observed.Container] = (*seen.sandboxes, *seen.containers)
    return {one.id: one.created_at for one in found}


def network(measured: stats.Network | None) -> told.NetworkStats | None:
    """The network as it is told."""
    if measured is None:
        return None
    default = measured.default
    return told.NetworkStats(
        time=exact(measured.at),
        name=default.name if default else "",
        rx_bytes=default.rx_bytes if default else None,
        rx_errors=default.rx_errors if default else None,
        tx_bytes=default.tx_bytes if default else None,
        tx_errors=default.tx_errors if default else None,
        interfaces=tuple(
            told.InterfaceStats(
                name=one.name,
                rx_bytes=one.rx_bytes,
                rx_errors=one.rx_errors,
                tx_bytes=one.tx_bytes,
                tx_errors=one.tx_errors,
            )
            for one in measured.interfaces
        ),
    )


def _swap(measured: stats.Swap | None) -> told.SwapStats | None:
    if measured is None:
        return None
    return told.SwapStats(
        time=exact(measured.at), swap_available_bytes=measured.available, swap_usage_bytes=measured.usage
    )


def io(measured: stats.Io | None) -> told.IOStats | None:
    """Input and output as they are told."""
    return told.IOStats(time=exact(measured.at), psi=_psi(measured.psi)) if measured is not None else None


def _psi(measured: stats.Psi | None) -> told.PSIStats | None:
    return told.PSIStats(full=_psi_data(measured.full), some=_psi_data(measured.some)) if measured else None


def _psi_data(data: stats.PsiData) -> told.PSIData:
    return told.PSIData(total=data.total, avg10=data.avg10, avg60=data.avg60, avg300=data.avg300)
