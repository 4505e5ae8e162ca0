"""What acting on Pods needs from its neighbours in the loop, as narrow interfaces: the app hands them in."""

from typing import Protocol

from pykubelet.model.ids import Uid
from pykubelet.model.kinds import ConfigMapOrNot, SecretOrNot, Service
from pykubelet.model.observed import PodRuntime
from pykubelet.model.pod import Pod


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
