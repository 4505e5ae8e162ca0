"""What sandboxes and containers use, as the container runtime measures it. No I/O.

Times are epoch seconds (float), sizes bytes, CPU nanoseconds. None is "the runtime did not say", which is not 0.
"""

import dataclasses
from collections.abc import Mapping

from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.model.observed import FilesystemUsage


@dataclasses.dataclass(frozen=True, slots=True)
class PsiData:
    """Pressure: `total` in microseconds, averages in percent over so many seconds."""

    total: int
    avg10: float
    avg60: float
    avg300: float


@dataclasses.dataclass(frozen=True, slots=True)
class Psi:
    full: PsiData
    some: PsiData


@dataclasses.dataclass(frozen=True, slots=True)
class Cpu:
    """`core_nanoseconds` only grows; `nanocores` is a rate over the runtime's own window."""

    at: float
    core_nanoseconds: int | None = None
    nanocores: int | None = None
    psi: Psi | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    at: float
    working_set: int | None = None
    available: int | None = None
    usage: int | None = None
    rss: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None
    psi: Psi | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Swap:
    at: float
    available: int | None = None
    usage: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Io:
    at: float
    psi: Psi | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Interface:
    name: str
    rx_bytes: int | None = None
    rx_errors: int | None = None
    tx_bytes: int | None = None
    tx_errors: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    at: float
    default: Interface | None = None
    interfaces: tuple[Interface, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerStats:
    id: ContainerId
    name: str
    attempt: int
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cpu: Cpu | None = None
    memory: Memory | None = None
    swap: Swap | None = None
    io: Io | None = None
    writable_layer: FilesystemUsage | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SandboxStats:
    id: SandboxId
    uid: Uid
    namespace: str
    name: str
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cpu: Cpu | None = None
    memory: Memory | None = None
    io: Io | None = None
    network: Network | None = None
    processes: int | None = None
    swap: Swap | None = None
    containers: tuple[ContainerStats, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class MetricDescriptor:
    name: str
    help: str
    label_keys: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """One sample of the runtime's own; `labels` in the order of its descriptor's label_keys."""

    name: str
    at: float
    counter: bool
    labels: tuple[str, ...]
    value: int


@dataclasses.dataclass(frozen=True, slots=True)
class SandboxMetrics:
    """A sandbox's own samples, and those of its containers by id."""

    sandbox_id: SandboxId
    metrics: tuple[Metric, ...] = ()
    containers: Mapping[ContainerId, tuple[Metric, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Identities:
    """`cgroups` of containers, sandboxes and Pods by their ids, `containers` by their Pods and names.

    `cpu_quotas`: microseconds of CPU in each period, of those that have a limit, by their ids.
    """

    cgroups: Mapping[str, str] = dataclasses.field(default_factory=dict)
    containers: Mapping[tuple[Uid, str], ContainerId] = dataclasses.field(default_factory=dict)
    cpu_quotas: Mapping[str, int] = dataclasses.field(default_factory=dict)
