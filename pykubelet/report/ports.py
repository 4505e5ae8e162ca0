"""What reporting needs from its neighbours in the loop, as narrow interfaces: the app hands them in."""

from collections.abc import Iterable
from typing import Protocol

from nodekit.objects import meta
from nodekit.objects.node import Node
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod


class ApiPods(Protocol):
    """This node's Pods as the API has them (desired.apiserver); `synced` once it was asked."""

    @property
    def synced(self) -> bool: ...

    def get(self, key: meta.Key) -> Pod | None: ...

    def mirrors(self) -> Iterable[Pod]: ...


class Wanted(Protocol):
    """The desired Pods (desired.merge)."""

    @property
    def synced(self) -> bool: ...

    def get(self, uid: Uid) -> Pod | None: ...


class OwnNode(Protocol):
    """This machine's Node object (desired.own_node)."""

    @property
    def name(self) -> str: ...

    @property
    def current(self) -> Node | None: ...

    @property
    def synced(self) -> bool: ...
