"""What is used, off the wire: CRI statistics and metrics as `model.stats` values."""

from cri_protos import api_pb2 as pb
from pykubelet.cri import convert_observed
from pykubelet.cri.convert_observed import seconds
from pykubelet.model import stats
from pykubelet.model.ids import ContainerId, SandboxId, Uid


def container(value: pb.ContainerStats) -> stats.ContainerStats:
    about = value.attributes
    return stats.ContainerStats(
        id=ContainerId(about.id),
        name=about.metadata.name,
        attempt=about.metadata.attempt,
        labels=dict(about.labels),
        annotations=dict(about.annotations),
        cpu=cpu(value.cpu) if value.HasField("cpu") else None,
        memory=memory(value.memory) if value.HasField("memory") else None,
        swap=swap(value.swap) if value.HasField("swap") else None,
        io=io(value.io) if value.HasField("io") else None,
        writable_layer=convert_observed.filesystem(value.writable_layer) if value.HasField("writable_layer") else None,
    )


def sandbox(value: pb.PodSandboxStats) -> stats.SandboxStats:
    about, linux = value.attributes, value.linux
    return stats.SandboxStats(
        id=SandboxId(about.id),
        uid=Uid(about.metadata.uid),
        namespace=about.metadata.namespace,
        name=about.metadata.name,
        labels=dict(about.labels),
        annotations=dict(about.annotations),
        cpu=cpu(linux.cpu) if linux.HasField("cpu") else None,
        memory=memory(linux.memory) if linux.HasField("memory") else None,
        io=io(linux.io) if linux.HasField("io") else None,
        network=network(linux.network) if linux.HasField("network") else None,
        processes=number(linux.process.process_count) if linux.process.HasField("process_count") else None,
        containers=tuple(container(c) for c in linux.containers),
    )


def number(value: pb.UInt64Value) -> int:
    return value.value


def cpu(value: pb.CpuUsage) -> stats.Cpu:
    return stats.Cpu(
        at=seconds(value.timestamp),
        core_nanoseconds=number(value.usage_core_nano_seconds) if value.HasField("usage_core_nano_seconds") else None,
        nanocores=number(value.usage_nano_cores) if value.HasField("usage_nano_cores") else None,
        psi=psi(value.psi) if value.HasField("psi") else None,
    )


def memory(value: pb.MemoryUsage) -> stats.Memory:
    return stats.Memory(
        at=seconds(value.timestamp),
        working_set=number(value.working_set_bytes) if value.HasField("working_set_bytes") else None,
        available=number(value.available_bytes) if value.HasField("available_bytes") else None,
        usage=number(value.usage_bytes) if value.HasField("usage_bytes") else None,
        rss=number(value.rss_bytes) if value.HasField("rss_bytes") else None,
        page_faults=number(value.page_faults) if value.HasField("page_faults") else None,
        major_page_faults=number(value.major_page_faults) if value.HasField("major_page_faults") else None,
        psi=psi(value.psi) if value.HasField("psi") else None,
    )


def swap(value: pb.SwapUsage) -> stats.Swap:
    return stats.Swap(
        at=seconds(value.timestamp),
        available=number(value.swap_available_bytes) if value.HasField("swap_available_bytes") else None,
        usage=number(value.swap_usage_bytes) if value.HasField("swap_usage_bytes") else None,
    )


def io(value: pb.IoUsage) -> stats.Io:
    return stats.Io(at=seconds(value.timestamp), psi=psi(value.psi) if value.HasField("psi") else None)


def psi(value: pb.PsiStats) -> stats.Psi:
    return stats.Psi(full=psi_data(value.Full), some=psi_data(value.Some))


def psi_data(value: pb.PsiData) -> stats.PsiData:
    return stats.PsiData(total=value.Total, avg10=value.Avg10, avg60=value.Avg60, avg300=value.Avg300)


def network(value: pb.NetworkUsage) -> stats.Network:
    return stats.Network(
        at=seconds(value.timestamp),
        default=interface(value.default_interface) if value.HasField("default_interface") else None,
        interfaces=tuple(interface(i) for i in value.interfaces),
    )


def interface(value: pb.NetworkInterfaceUsage) -> stats.Interface:
    return stats.Interface(
        name=value.name,
        rx_bytes=number(value.rx_bytes) if value.HasField("rx_bytes") else None,
        rx_errors=number(value.rx_errors) if value.HasField("rx_errors") else None,
        tx_bytes=number(value.tx_bytes) if value.HasField("tx_bytes") else None,
        tx_errors=number(value.tx_errors) if value.HasField("tx_errors") else None,
    )


def descriptor(value: pb.MetricDescriptor) -> stats.MetricDescriptor:
    return stats.MetricDescriptor(name=value.name, help=value.help, label_keys=tuple(value.label_keys))


def metric(value: pb.Metric) -> stats.Metric:
    return stats.Metric(
        name=value.name,
        at=seconds(value.timestamp),
        counter=value.metric_type == pb.COUNTER,
        labels=tuple(value.label_values),
        value=number(value.value),
    )


def metrics(value: pb.PodSandboxMetrics) -> stats.SandboxMetrics:
    return stats.SandboxMetrics(
        sandbox_id=SandboxId(value.pod_sandbox_id),
        metrics=tuple(metric(m) for m in value.metrics),
        containers={ContainerId(c.container_id): tuple(metric(m) for m in c.metrics) for c in value.container_metrics},
    )
