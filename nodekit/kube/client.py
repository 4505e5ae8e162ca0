"""The API's verbs over any kind of object: get, list, create, update, patch, delete, watch."""

import contextlib
import enum
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from nodekit.kube import errors
from nodekit.kube.request import Request, Server
from nodekit.objects import base, codec, meta, status
from nodekit.objects.resource import Resource

log = logging.getLogger(__name__)

T = TypeVar("T", bound=meta.ApiObject)
A = TypeVar("A")

_PAGE: Final = 500
_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind: those of a namespace (empty: all), with these labels and fields."""

    namespace: str = ""
    labels: str = ""
    fields: str = ""

    @property
    def query(self) -> dict[str, str]:
        """As URL parameters."""
        pairs = (("labelSelector", self.labels), ("fieldSelector", self.fields))
        return {name: value for name, value in pairs if value}


EVERYTHING: Final = Selection()


class PatchKind(enum.Enum):
    """How the server applies a patch: its content type."""

    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    JSON = "application/json-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Patch:
    """A change to an object; `manager` and `force` matter to APPLY alone."""

    kind: PatchKind
    body: bytes
    manager: str = ""
    force: bool = False


class Listing(base.Object, Generic[T]):
    """Objects and the version of the collection they were read at."""

    metadata: meta.ListMeta = meta.ListMeta()
    items: tuple[T, ...] = ()


class _RawListing(base.Object):
    metadata: meta.ListMeta = meta.ListMeta()
    items: tuple[msgspec.Raw, ...] = ()


class WatchLine(msgspec.Struct, frozen=True):
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and the object not yet decoded."""

    type: str
    object: msgspec.Raw


class Client:
    """Reads and writes objects of any Resource. Every method raises errors.ApiError."""

    def __init__(self, transport: Server, *, timeout: float = _TIMEOUT) -> None:
        self.transport = transport
        self._timeout = timeout

    async def get(self, resource: Resource[T], key: meta.Key) -> T:
        """One object."""
        request = _request("GET", resource, key, says="get")
        return self._decode(request, resource.type, await self._ask(request))

    async def list(self, resource: Resource[T], selection: Selection = EVERYTHING) -> Listing[T]:
        """All selected objects; the version is that of the first page, as all pages show one moment."""
        pages = [page async for page in self.pages(resource, selection)]
        items = tuple(item for page in pages for item in page.items)
        return Listing(metadata=meta.ListMeta(resource_version=pages[0].metadata.resource_version), items=items)

    async def pages(self, resource: Resource[T], selection: Selection = EVERYTHING) -> AsyncIterator[Listing[T]]:
        """The selected objects in pages of 500, to bound memory; all pages show one moment."""
        query = {"limit": str(_PAGE), **selection.query}
        while True:
            path = resource.path(namespace=selection.namespace)
            request = Request("GET", path, f"list {resource.plural}", query=query)
            page = self._decode_page(request, resource, await self._ask(request))
            yield page
            if not page.metadata.continue_:
                return
            query = {**query, "continue": page.metadata.continue_}

    async def create(self, resource: Resource[T], obj: T) -> T:
        """A new object; raises AlreadyExists."""
        path = resource.path(namespace=obj.metadata.namespace)
        name = obj.metadata.name or obj.metadata.generate_name
        request = Request("POST", path, f"create {resource.plural}/{name}", body=_whole(resource, obj))
        return self._decode(request, resource.type, await self._ask(request))

    async def update(self, resource: Resource[T], obj: T, *, subresource: str = "") -> T:
        """Write an object whole. Fields our struct does not know are lost: meant for kinds it knows in full."""
        made = _request("PUT", resource, obj.key, says="update", subresource=subresource)
        request = Request(made.method, made.path, made.says, body=_whole(resource, obj))
        return self._decode(request, resource.type, await self._ask(request))

    async def patch(self, resource: Resource[T], key: meta.Key, patch: Patch, *, subresource: str = "") -> T:
        """Change an object; the whole object as it is afterwards."""
        made = _request("PATCH", resource, key, says="patch", subresource=subresource)
        query = {"fieldManager": patch.manager} if patch.manager else {}
        if patch.force:
            query["force"] = "true"
        request = Request(
            made.method, made.path, made.says, query=query, body=patch.body, content_type=patch.kind.value
        )
        return self._decode(request, resource.type, await self._ask(request))

    async def delete(self, resource: Resource[T], key: meta.Key, options: status.DeleteOptions | None = None) -> None:
        """Delete an object, or begin to when it has a grace period or finalizers; raises NotFound, Conflict."""
        made = _request("DELETE", resource, key, says="delete")
        body = None if options is None else _with_kind("v1", "DeleteOptions", codec.encode(options))
        await self._ask(Request(made.method, made.path, made.says, body=body))

    async def post(self, path: str, body: base.Object, answer: type[A]) -> A:
        """Post to a path that answers with something else: a TokenRequest, a review. `body` holds its own kind."""
        request = Request("POST", path, f"post {path}", body=codec.encode(body))
        return self._decode(request, answer, await self._ask(request))

    async def raw(self, method: str, path: str, *, body: bytes | None = None) -> bytes:
        """Any request, any answer."""
        return await self._ask(Request(method, path, f"{method.lower()} {path}", body=body))

    @contextlib.asynccontextmanager
    async def watch(
        self, resource: Resource[T], selection: Selection, *, query: dict[str, str]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of a watch as they come, each a WatchLine in JSON. `query` says from where and for how long."""
        request = Request(
            "GET",
            resource.path(namespace=selection.namespace),
            f"watch {resource.plural}",
            query={"watch": "1", **selection.query, **query},
        )
        async with self.transport.stream(request, timeout=self._timeout) as chunks:
            yield _lines(chunks)

    async def _ask(self, request: Request) -> bytes:
        return await self.transport.ask(request, timeout=self._timeout)

    def _decode_page(self, request: Request, resource: Resource[T], body: bytes) -> Listing[T]:
        kind: type[Listing[T]] = Listing[resource.type]  # type: ignore[name-defined]
        try:
            return codec.decode(kind, body)
        except codec.DecodeError:
            pass
        # One object that does not fit is left out and told of; it never hides its neighbours.
        page = self._decode(request, _RawListing, body)
        items = []
        for raw in page.items:
            try:
                items.append(codec.decode(resource.type, raw))
            except codec.DecodeError as error:
                log.error("%s: an object is left out, as it does not fit: %s: %.200s", request.says, error, bytes(raw))
        return Listing(metadata=page.metadata, items=tuple(items))

    def _decode(self, request: Request, kind: type[A], body: bytes) -> A:
        try:
            return codec.decode(kind, body)
        except codec.DecodeError as error:
            raise errors.BadAnswer(request.says, server=self.transport.server, message=str(error)) from error


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line


def _request(method: str, resource: Resource[T], key: meta.Key, *, says: str, subresource: str = "") -> Request:
    path = resource.path(namespace=key.namespace, name=key.name, subresource=subresource)
    tail = f"/{subresource}" if subresource else ""
    return Request(method, path, f"{says} {resource.plural}/{key}{tail}")


def _whole(resource: Resource[T], obj: T) -> bytes:
    return _with_kind(resource.api_version, resource.kind, codec.encode(obj))


def _with_kind(api_version: str, kind: str, body: bytes) -> bytes:
    """Our structs do not carry their kind, which the Resource knows: it is put in front."""
    head = codec.encode({"apiVersion": api_version, "kind": kind})
    return head if body == b"{}" else head[:-1] + b"," + body[1:]
