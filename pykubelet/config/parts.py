"""The nested tables of a KubeletConfiguration. Source: k8s.io/kubelet config/v1beta1, k8s.io/component-base."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self, TypeAlias

import msgspec

from nodekit.config_types import Amount, Duration, Given, Section, Special
from nodekit.objects import quantity
from nodekit.objects.quantity import Quantity

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Threshold:
    """An amount, or a fraction (0.1 is 10 %) of what there is; exactly one of both."""

    amount: Quantity | None = None
    fraction: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "100Mi" or "10%"; raises ValueError."""
        if text.endswith("%"):
            fraction = float(text.removesuffix("%")) / 100
            if not 0 <= fraction <= 1:
                raise ValueError(f"expected a percentage from 0% to 100%, got {text!r}")
            return cls(fraction=fraction)
        amount = quantity.parse(text)
        if amount.nanos < 0:
            raise ValueError(f"expected an amount of at least 0, got {text!r}")
        return cls(amount=amount)

    def __str__(self) -> str:
        return str(self.amount) if self.fraction is None else f"{self.fraction * 100:g}%"

    @property
    def off(self) -> bool:
        """0% and 100% turn a threshold off."""
        return self.fraction in (0.0, 1.0)


Limit: TypeAlias = Annotated[
    Threshold, Special(Threshold.parse, str, 'a quantity such as "100Mi" or a percentage such as "10%"')
]

# Source: pkg/kubelet/eviction/defaults_linux.go.
EVICTION_HARD: Final[dict[str, Threshold]] = {
    "memory.available": Threshold.parse("100Mi"),
    "nodefs.available": Threshold.parse("10%"),
    "nodefs.inodesFree": Threshold.parse("5%"),
    "imagefs.available": Threshold.parse("15%"),
    "imagefs.inodesFree": Threshold.parse("5%"),
}
EVICTION_SIGNALS: Final = frozenset(
    (*EVICTION_HARD, "containerfs.available", "containerfs.inodesFree", "pid.available", "allocatableMemory.available")
)


class X509(Section):
    """Client certificates."""

    client_ca_file: str = ""


class WebhookAuthentication(Section):
    """Bearer tokens, asked of the API server."""

    enabled: bool = True
    cache_ttl: Duration = 120.0


class Anonymous(Section):
    """Requests without credentials."""

    enabled: bool = False


class Authentication(Section):
    """Who may be somebody on port 10250."""

    x509: X509 = X509()
    webhook: WebhookAuthentication = WebhookAuthentication()
    anonymous: Anonymous = Anonymous()


class WebhookAuthorization(Section):
    """How long the API server's verdicts are kept."""

    cache_authorized_ttl: Duration = 300.0
    cache_unauthorized_ttl: Duration = 30.0


class Authorization(Section):
    """Who may do what on port 10250."""

    mode: Literal["Webhook", "AlwaysAllow"] = "Webhook"
    webhook: WebhookAuthorization = WebhookAuthorization()


class MemorySwap(Section):
    """Whether Pods may swap."""

    swap_behavior: Literal["", "NoSwap", "LimitedSwap"] = ""


class ShutdownGrace(Section):
    """How long Pods of at least this priority get when the machine shuts down."""

    priority: int = 0
    shutdown_grace_period_seconds: int = 0


class CrashLoopBackOff(Section):
    """The longest wait between restarts of a container."""

    max_container_restart_period: Given[Annotated[Duration, msgspec.Meta(ge=1, le=300)]] = 300.0


class MemoryReservation(Section):
    """Memory kept back on a NUMA node."""

    numa_node: int = 0
    limits: dict[str, Amount] = {}


class Tracing(Section):
    """Where spans are sent, and of how many requests in a million."""

    endpoint: str | None = None
    sampling_rate_per_million: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None


class UserNamespaces(Section):
    """How many user ids each Pod gets."""

    ids_per_pod: Given[Annotated[int, msgspec.Meta(ge=65536)]] = 65536


class Taint(Section):
    """A taint the node registers with."""

    key: str = ""
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    time_added: str | None = None
