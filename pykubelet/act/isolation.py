"""How a Pod's processes are set apart from others: the handler of its RuntimeClass and its range of user ids."""

import dataclasses
from collections.abc import Callable
from typing import Protocol

from pykubelet.act.user_namespaces import UserNamespaces
from pykubelet.decide.environment import ConfigError
from pykubelet.model.ids import Uid
from pykubelet.model.observed import RuntimeHandler
from pykubelet.model.pod import Pod
from pykubelet.model.runtime_config import UserNamespace


class RuntimeClasses(Protocol):
    """The cluster's RuntimeClasses (desired.runtime_classes)."""

    @property
    def synced(self) -> bool: ...

    def handler(self, name: str) -> str | None:
        """None if there is no such class."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Isolation:
    """Of one Pod. An empty `handler` is the runtime's default."""

    handler: str
    user: UserNamespace
    recursive_read_only: bool


class PodIsolation:
    """`handlers()` are those the runtime has told of."""

    def __init__(
        self, classes: RuntimeClasses, users: UserNamespaces, *, handlers: Callable[[], tuple[RuntimeHandler, ...]]
    ) -> None:
        self._classes = classes
        self._users = users
        self._handlers = handlers

    def of(self, pod: Pod) -> Isolation:
        """The same as long as the Pod lives. Raises ConfigError."""
        name = self._handler(pod)
        handler = next((one for one in self._handlers() if one.name == name), RuntimeHandler(name))
        user = self._users.of(pod, supported=handler.user_namespaces)
        return Isolation(name, user, handler.recursive_read_only_mounts)

    def release(self, uid: Uid) -> None:
        """The Pod is gone."""
        self._users.release(uid)

    def _handler(self, pod: Pod) -> str:
        wanted = pod.spec.runtime_class_name
        if not wanted:
            return ""
        found = self._classes.handler(wanted)
        if found is None and not self._classes.synced:
            raise ConfigError("RuntimeClasses have not been read yet")
        if found is None:
            raise ConfigError(f'runtimeclass.node.k8s.io "{wanted}" not found')
        return found
