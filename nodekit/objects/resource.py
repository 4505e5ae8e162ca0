"""Where objects of a kind live in the API: group, version, kind, plural, and the struct they are read into."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from nodekit.objects import meta

T = TypeVar("T", bound=meta.ApiObject)


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """One kind, as the API server knows it: `Resource(Node, "v1", "Node", "nodes", namespaced=False)`."""

    type: type[T]
    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of one object, of one namespace's, or of all when both are empty."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        within = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{within}/{self.plural}{tail}"

    def reference(self, found: meta.ApiObject, *, field_path: str = "") -> meta.ObjectReference:
        """A reference to an object of this kind, as events carry it."""
        return meta.ObjectReference(
            api_version=self.api_version,
            kind=self.kind,
            namespace=found.metadata.namespace,
            name=found.metadata.name,
            uid=found.metadata.uid,
            resource_version=found.metadata.resource_version,
            field_path=field_path,
        )
