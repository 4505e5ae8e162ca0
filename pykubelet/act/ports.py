"""What acting on Pods needs from its neighbours in the loop, as narrow interfaces: the app hands them in."""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from pykubelet.decide.admission import Rejected
from pykubelet.decide.references import Reference
from pykubelet.model.container import Container
from pykubelet.model.devices import DeviceGrant, Offers, PluginOptions
from pykubelet.model.ids import ContainerId, Uid
from pykubelet.model.kinds import ConfigMapOrNot, SecretOrNot, Service
from pykubelet.model.observed import PodRuntime
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Probed, ResizePending
from pykubelet.model.status import PodStatus


class Wanted(Protocol):
    """The desired Pods (desired.merge)."""

    @property
    def synced(self) -> bool: ...

    def get(self, uid: Uid) -> Pod | None: ...


class Seen(Protocol):
    """The runtime's Pods (observe.runtime_view)."""

    def get(self, uid: Uid) -> PodRuntime | None: ...

    def expire(self, uid: Uid) -> None: ...

    async def current(self, uid: Uid) -> PodRuntime | None: ...

    def forget(self, uid: Uid) -> None: ...


class Objects(Protocol):
    """ConfigMaps and Secrets that Pods refer to (desired.referenced)."""

    def get_config_map(self, namespace: str, name: str) -> ConfigMapOrNot: ...

    def get_secret(self, namespace: str, name: str) -> SecretOrNot: ...


class Services(Protocol):
    """The cluster's Services (desired.services)."""

    @property
    def synced(self) -> bool: ...

    def all(self) -> tuple[Service, ...]: ...


class Recorder(Protocol):
    """Tells people what happened (report.events). `container` becomes the event's field path."""

    def event(self, pod: Pod, type_: str, reason: str, message: str, *, container: str = "") -> None: ...


class Prober(Protocol):
    """Probes running containers (observe.probes)."""

    def verdicts(self, uid: Uid) -> Mapping[ContainerId, Probed]: ...

    def follow(self, pod: Pod, seen: PodRuntime, *, address: str, ending: bool) -> None: ...

    def forget(self, uid: Uid) -> None: ...


class Holder(Protocol):
    """Keeps the objects that Pods refer to watched (desired.referenced)."""

    async def settled(self, uid: Uid, *, patience: float) -> None: ...

    def hold(self, uid: Uid, references: frozenset[Reference]) -> None: ...

    def release(self, uid: Uid) -> None: ...


class Reporter(Protocol):
    """Tells the API what became of a Pod (report.pod_status), and deletes its object once it is finished."""

    def publish(self, uid: Uid, pod: Pod, status: PodStatus, *, finished: bool) -> None: ...

    def forget(self, uid: Uid) -> None: ...


class Admission(Protocol):
    """Decides once whether a Pod may run here (decide.admission, fed by the app)."""

    def admit(self, pod: Pod) -> Rejected | None: ...

    def room_for(self, pod: Pod) -> tuple[Pod, ...] | None: ...

    def resize(self, pod: Pod) -> ResizePending | None: ...


class Volumes(Protocol):
    """Volumes on disk (act.volumes)."""

    async def prepare(self, pod: Pod) -> None: ...

    async def tear_down(self, pod: Pod) -> None: ...

    async def forget(self, pod: Pod) -> None: ...

    def renew_at(self, uid: Uid) -> float | None: ...

    def host_path(self, pod: Pod, volume: str) -> str: ...

    def groups(self, uid: Uid) -> tuple[int, ...]: ...


class Cgroups(Protocol):
    """The Pods' cgroups (act.cgroups)."""

    def parent(self, pod: Pod) -> str: ...

    async def create_pod(self, pod: Pod) -> str: ...

    async def update_pod(self, pod: Pod, *, memory: bool = True) -> None: ...

    async def remove_pod(self, pod: Pod) -> None: ...


class Files(Protocol):
    """What the kubelet itself puts into containers (act.files)."""

    def etc_hosts(self, pod: Pod, pod_ips: tuple[str, ...]) -> str: ...

    def termination_log(self, pod: Pod, container: str) -> str: ...

    def sub_path(self, pod: Pod, container: str, mount_index: int, *, volume: str, path: str) -> str: ...

    def read_inside(self, volume: str, path: str) -> str: ...


class DevicePlugin(Protocol):
    """One device plugin (plugins.devices). Every call raises PluginError."""

    @property
    def options(self) -> PluginOptions: ...

    async def preferred(
        self, available: Collection[str], *, included: Collection[str], size: int
    ) -> tuple[str, ...]: ...

    async def allocate(self, ids: Collection[str]) -> bytes: ...

    async def pre_start(self, ids: Collection[str]) -> None: ...


class DevicePlugins(Protocol):
    """The device plugins of this node (observe.device_plugins)."""

    @property
    def offers(self) -> Offers: ...

    def expect(self, resources: Iterable[str]) -> None: ...

    def plugin(self, resource: str) -> DevicePlugin: ...


class Devices(Protocol):
    """Who has which devices (act.devices)."""

    def is_ready(self, pod: Pod) -> bool: ...

    async def assign(self, pod: Pod) -> None: ...

    def of(self, pod: Pod, container: Container) -> DeviceGrant: ...

    async def pre_start(self, pod: Pod, container: Container) -> None: ...
