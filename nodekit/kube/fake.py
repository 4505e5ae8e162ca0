"""An API server in memory for tests: `Client(FakeApi())`. The same contract tests run against it and the genuine one.

It knows versions, selections, watches, conflicts, patches, status subresources, finalizers and graceful deletion of
bound Pods; it validates nothing, admits everyone and defaults nothing.
"""

import asyncio
import contextlib
import re
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from nodekit.kube import errors, fake_patch
from nodekit.kube.fake_store import Json, Store
from nodekit.kube.request import Request
from nodekit.objects import codec, meta, status, times
from nodekit.objects.resource import Resource

T = TypeVar("T", bound=meta.ApiObject)

_PATH: Final = re.compile(
    r"(?P<group>/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]+))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>.+))?"
)


class FakeApi:
    """A server that is asked without a network; tests may reach behind it with `put`, `find` and `remove`."""

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime(2026, 11, 24, 10, 15, tzinfo=UTC)) -> None:
        self.requests: list[Request] = []
        self.store: Final = Store()
        self._now = now
        self._answers: list[tuple[str, re.Pattern[str], Callable[[Request], bytes]]] = []
        self._changed = asyncio.Event()
        self._cut = asyncio.Event()
        self._down = False
        self._back = asyncio.Event()

    @property
    def server(self) -> str:
        """Its name in errors."""
        return "https://fake"

    def put(self, resource: Resource[T], item: T) -> T:
        """Store an object as if somebody else had, whatever its version; the object as stored."""
        value = codec.to_builtins(item)
        value.setdefault("metadata", {})
        stored = self._create(resource.path(), _named(value)) if not self._has(resource, item) else None
        return codec.of_builtins(resource.type, stored or self._touch(self.store.put(resource.path(), value)))

    def find(self, resource: Resource[T], key: meta.Key) -> T | None:
        """An object as the server holds it."""
        found = self.store.objects.get((resource.path(), *key))
        return None if found is None else codec.of_builtins(resource.type, found)

    def remove(self, resource: Resource[T], key: meta.Key) -> None:
        """Delete an object for good, at once."""
        self._touch(self.store.remove((resource.path(), *key)))

    def answer(self, method: str, path: str, reply: Callable[[Request], bytes]) -> None:
        """Answer requests whose path fully matches the pattern with `reply(request)`, which may raise an ApiError."""
        self._answers.append((method, re.compile(path), reply))

    def forget_history(self) -> None:
        """Compact: watches that resume from before now get 410 Expired."""
        self.store.forget_history()

    def cut_watches(self) -> None:
        """End every watch under way, as a restarting server does."""
        self._cut.set()
        self._cut = asyncio.Event()

    def go_down(self) -> None:
        """Be unreachable from now on."""
        self._down = True
        self.cut_watches()

    def come_up(self) -> None:
        """Be reachable again; who waits for that learns it when somebody asks."""
        self._down = False

    async def reached(self) -> None:
        """See request.Server."""
        await self._back.wait()

    async def ask(self, request: Request, *, timeout: float) -> bytes:
        """Answer; see request.Server."""
        await asyncio.sleep(0)
        self._reach(request)
        self.requests.append(request)
        # The answer added last goes first, so that a test can overrule an earlier one.
        for method, pattern, reply in reversed(self._answers):
            if method == request.method and pattern.fullmatch(request.path):
                return reply(request)
        found = _PATH.fullmatch(request.path)
        if found is None:
            raise self._error(request, 404, "NotFound", f"the fake has no {request.path}")
        collection = f"{found['group']}/{found['plural']}"
        key = (collection, found["namespace"] or "", found["name"] or "")
        result = self._verb(request, key, found["sub"] or "")
        return codec.encode(result)

    @contextlib.asynccontextmanager
    async def stream(self, request: Request, *, timeout: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """Watch; see request.Server."""
        await asyncio.sleep(0)
        self._reach(request)
        self.requests.append(request)
        yield self._watch(request)

    async def _watch(self, request: Request) -> AsyncIterator[bytes]:
        found = _PATH.fullmatch(request.path)
        assert found is not None
        collection, namespace = f"{found['group']}/{found['plural']}", found["namespace"] or ""
        query = dict(request.query)
        at = int(query.get("resourceVersion") or 0)
        if at < self.store.oldest:
            said = {"kind": "Status", "code": 410, "reason": "Expired", "message": f"too old resource version: {at}"}
            yield _line("ERROR", said)
            return
        cut = self._cut
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(query.get("timeoutSeconds", "3600"))):
                while not cut.is_set():
                    changed = self._changed
                    for event in [event for event in self.store.history if event.version > at]:
                        at = event.version
                        if event.collection != collection or namespace not in ("", _namespace(event.after)):
                            continue
                        told = self.store.seen(event, query)
                        if told is not None:
                            yield _line(*told)
                    await _first(changed, cut)
        if self._down:
            raise self._unreachable(request)

    def _verb(self, request: Request, key: tuple[str, str, str], sub: str) -> Json:
        collection, namespace, name = key
        body = request.body or b"{}"
        match request.method:
            case "GET" if not name:
                items = self.store.select(collection, namespace, dict(request.query))
                return {"metadata": {"resourceVersion": str(self.store.version)}, "items": items}
            case "GET":
                return self._existing(request, key)
            case "POST" if not name:
                value = _named(msgspec.json.decode(body))
                if namespace:
                    value["metadata"]["namespace"] = namespace
                if (collection, namespace, value["metadata"]["name"]) in self.store.objects:
                    raise self._error(request, 409, "AlreadyExists", f"{value['metadata']['name']} already exists")
                return self._create(collection, value)
            case "PUT":
                return self._change(request, key, sub, msgspec.json.decode(body))
            case "PATCH":
                try:
                    after = fake_patch.applied(self._existing(request, key), body, request.content_type)
                except (ValueError, LookupError) as error:
                    raise self._error(request, 422, "Invalid", str(error)) from error
                return self._change(request, key, sub, after)
            case "DELETE" if not name:
                for item in self.store.select(collection, namespace, dict(request.query)):
                    self._touch(self.store.remove((collection, _namespace(item), item["metadata"]["name"])))
                return {}
            case "DELETE":
                return self._delete(request, key, codec.decode(status.DeleteOptions, body))
        raise self._error(request, 405, "MethodNotAllowed", f"the fake knows no {request.method} of {request.path}")

    def _create(self, collection: str, value: Json) -> Json:
        made = {"uid": str(uuid.uuid4()), "creationTimestamp": times.text(self._now()), "generation": 1}
        return self._touch(self.store.put(collection, {**value, "metadata": {**made, **value["metadata"]}}))

    def _change(self, request: Request, key: tuple[str, str, str], sub: str, after: Json) -> Json:
        before = self._existing(request, key)
        was, wanted = before["metadata"], after["metadata"]
        if wanted.get("uid", was["uid"]) != was["uid"]:
            raise self._error(request, 422, "Invalid", "metadata.uid: field is immutable")
        if wanted.get("resourceVersion", was["resourceVersion"]) != was["resourceVersion"]:
            raise self._error(request, 409, "Conflict", f"{key[2]}: the object has been modified; try again")
        # The status is written through its subresource alone, and nothing else through it.
        keep = (
            {**before, "status": after.get("status", {})}
            if sub == "status"
            else {**after, "status": before.get("status")}
        )
        changed = {name: value for name, value in keep.items() if value is not None}
        if changed.get("spec") != before.get("spec"):
            changed["metadata"] = {**changed["metadata"], "generation": was.get("generation", 0) + 1}
        last_finalizer_went = was.get("finalizers") and not changed["metadata"].get("finalizers")
        if last_finalizer_went and changed["metadata"].get("deletionTimestamp"):
            return self._touch(self.store.remove(key))
        return before if changed == before else self._touch(self.store.put(key[0], changed))

    def _delete(self, request: Request, key: tuple[str, str, str], options: status.DeleteOptions) -> Json:
        item = self._existing(request, key)
        metadata, spec = item["metadata"], item.get("spec", {})
        wanted = options.preconditions or status.Preconditions()
        if wanted.uid not in (None, metadata["uid"]) or wanted.resource_version not in (
            None,
            metadata["resourceVersion"],
        ):
            raise self._error(request, 409, "Conflict", f"{key[2]}: a precondition failed")
        grace = options.grace_period_seconds
        if grace is None:
            grace = metadata.get("deletionGracePeriodSeconds", spec.get("terminationGracePeriodSeconds", 30))
        # A Pod that is bound to a node is gone when its kubelet says so, with a grace of 0.
        graceful = key[0] == "/api/v1/pods" and spec.get("nodeName") and grace > 0
        if not graceful and not metadata.get("finalizers"):
            return self._touch(self.store.remove(key))
        metadata = {**metadata, "deletionTimestamp": times.text(self._now()), "deletionGracePeriodSeconds": grace}
        return self._touch(self.store.put(key[0], {**item, "metadata": metadata}))

    def _existing(self, request: Request, key: tuple[str, str, str]) -> Json:
        found = self.store.objects.get(key)
        if found is None:
            raise self._error(request, 404, "NotFound", f'{key[0].rpartition("/")[2]} "{key[2]}" not found')
        return found

    def _has(self, resource: Resource[T], item: T) -> bool:
        return (resource.path(), *item.key) in self.store.objects

    def _touch(self, result: Json) -> Json:
        """Wake the watches."""
        self._changed.set()
        self._changed = asyncio.Event()
        return result

    def _reach(self, request: Request) -> None:
        if self._down:
            raise self._unreachable(request)
        self._back.set()
        self._back = asyncio.Event()

    def _unreachable(self, request: Request) -> errors.Unreachable:
        return errors.Unreachable(request.says, server=self.server, message="connection refused")

    def _error(self, request: Request, code: int, reason: str, message: str) -> errors.ApiError:
        said = status.Status(kind="Status", code=code, reason=reason, message=message)
        return errors.of(request.says, said, server=self.server)


def _named(value: Json) -> Json:
    metadata = dict(value.get("metadata", {}))
    if not metadata.get("name"):
        metadata["name"] = metadata.get("generateName", "") + uuid.uuid4().hex[:5]
    return {**value, "metadata": metadata}


def _namespace(value: Json) -> str:
    return str(value["metadata"].get("namespace", ""))


def _line(kind: str, value: Any) -> bytes:
    return msgspec.json.encode({"type": kind, "object": value}) + b"\n"


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
