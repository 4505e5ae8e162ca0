"""What /stats/summary answers. Source: k8s.io/kubelet/pkg/apis/stats/v1alpha1. Sizes in bytes, CPU in nanoseconds.

Times keep their fractions, which readers of metav1.Time accept.
"""

import datetime as dt

from msgspec import field

from nodekit.objects.base import Object


class PSIData(Object):
    """Pressure: `total` in microseconds, averages in percent over so many seconds. All are always written."""

    total: int = field(name="total")
    avg10: float = field(name="avg10")
    avg60: float = field(name="avg60")
    avg300: float = field(name="avg300")


class PSIStats(Object):
    full: PSIData
    some: PSIData


class CPUStats(Object):
    time: dt.datetime
    usage_nano_cores: int | None = None
    usage_core_nano_seconds: int | None = None
    psi: PSIStats | None = None


class MemoryStats(Object):
    time: dt.datetime
    available_bytes: int | None = None
    usage_bytes: int | None = None
    working_set_bytes: int | None = None
    rss_bytes: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None
    psi: PSIStats | None = None


class IOStats(Object):
    time: dt.datetime
    psi: PSIStats | None = None


class SwapStats(Object):
    time: dt.datetime
    swap_available_bytes: int | None = None
    swap_usage_bytes: int | None = None


class InterfaceStats(Object):
    name: str
    rx_bytes: int | None = None
    rx_errors: int | None = None
    tx_bytes: int | None = None
    tx_errors: int | None = None


class NetworkStats(Object):
    """The first fields are those of the default interface."""

    time: dt.datetime
    name: str = ""
    rx_bytes: int | None = None
    rx_errors: int | None = None
    tx_bytes: int | None = None
    tx_errors: int | None = None
    interfaces: tuple[InterfaceStats, ...] = ()


class FsStats(Object):
    time: dt.datetime
    available_bytes: int | None = None
    capacity_bytes: int | None = None
    used_bytes: int | None = None
    inodes_free: int | None = None
    inodes: int | None = None
    inodes_used: int | None = None


class PVCReference(Object):
    name: str
    namespace: str


class VolumeStats(FsStats):
    name: str = ""
    pvc_ref: PVCReference | None = None


class RuntimeStats(Object):
    image_fs: FsStats | None = None
    container_fs: FsStats | None = None


class RlimitStats(Object):
    time: dt.datetime
    maxpid: int | None = None
    curproc: int | None = None


class ProcessStats(Object):
    process_count: int | None = field(name="process_count", default=None)


class ContainerStats(Object):
    name: str
    start_time: dt.datetime
    cpu: CPUStats | None = None
    memory: MemoryStats | None = None
    io: IOStats | None = None
    rootfs: FsStats | None = None
    logs: FsStats | None = None
    swap: SwapStats | None = None


class PodReference(Object):
    name: str
    namespace: str
    uid: str = field(name="uid")


class PodStats(Object):
    pod_ref: PodReference
    start_time: dt.datetime
    containers: tuple[ContainerStats, ...] = field(name="containers")
    cpu: CPUStats | None = None
    memory: MemoryStats | None = None
    io: IOStats | None = None
    network: NetworkStats | None = None
    volume_stats: tuple[VolumeStats, ...] = field(name="volume", default=())
    ephemeral_storage: FsStats | None = field(name="ephemeral-storage", default=None)
    process_stats: ProcessStats | None = field(name="process_stats", default=None)
    swap: SwapStats | None = None


class NodeStats(Object):
    node_name: str
    start_time: dt.datetime
    system_containers: tuple[ContainerStats, ...] = ()
    cpu: CPUStats | None = None
    memory: MemoryStats | None = None
    io: IOStats | None = None
    network: NetworkStats | None = None
    fs: FsStats | None = None
    runtime: RuntimeStats | None = None
    rlimit: RlimitStats | None = None
    swap: SwapStats | None = None


class Summary(Object):
    node: NodeStats
    pods: tuple[PodStats, ...] = field(name="pods")
