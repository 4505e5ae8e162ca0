"""What every API object carries: ObjectMeta, owners, keys, references. Source: k8s.io/apimachinery meta/v1."""

import sys
from datetime import datetime
from typing import NamedTuple, NewType

from nodekit.objects import base

Uid = NewType("Uid", str)


class Key(NamedTuple):
    """What names one object among its kind; the namespace of a cluster-wide object is empty."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class OwnerReference(base.Object):
    """The object that this one is deleted with."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(base.Object):
    """What every object has."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


class ListMeta(base.Object):
    """What every list has."""

    resource_version: str = ""
    continue_: str = ""
    remaining_item_count: int | None = None


class ApiObject(base.Object):
    """An object of its own in the API."""

    metadata: ObjectMeta = ObjectMeta()

    @property
    def key(self) -> Key:
        """The object's name among its kind. Its namespace is one string, however many objects it has."""
        return Key(sys.intern(self.metadata.namespace), self.metadata.name)


class ObjectReference(base.Object):
    """Points at an object, or with a field path at a part of it (`spec.containers{web}`)."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    field_path: str = ""
