"""The one picture of what the runtime has, Pod by Pod: filled by relists, kept fresh by refreshes and events.

Ids are never used again and states only go forward (Created, Running, Exited; Ready, NotReady), so pieces of news may
come in any order: an old one never undoes a newer.
"""

import asyncio
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator

from pykubelet import meters
from pykubelet.cri import errors, runtime_api
from pykubelet.model import observed
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.model.observed import Container, ContainerState, PodRuntime, Sandbox, SandboxState

_RANK = {
    ContainerState.CREATED: 0,
    ContainerState.UNKNOWN: 1,
    ContainerState.RUNNING: 2,
    ContainerState.EXITED: 3,
}
_DETAILS_AT_ONCE = 8
_BEGINNINGS = (observed.EventKind.CREATED, observed.EventKind.STARTED)


@dataclasses.dataclass(slots=True)
class _Entry:
    """One Pod. `version` grows with each piece of news; `gone` are the ids that are known to be removed."""

    runtime: PodRuntime
    version: int = 0
    stale: bool = False
    gone: set[str] = dataclasses.field(default_factory=set)


class RuntimeView:
    """`wake(uid)` is called whenever what is known of a Pod has changed, `began(uid)` instead of it when an event told
    that something of the Pod was made or has started: whoever asked for that knows more in a moment."""

    def __init__(
        self,
        runtime: runtime_api.RuntimeService,
        *,
        wake: Callable[[Uid], None],
        began: Callable[[Uid], None],
    ) -> None:
        self._runtime = runtime
        self._wake = wake
        self._began = began
        self._pods: dict[Uid, _Entry] = {}
        self._details = asyncio.Semaphore(_DETAILS_AT_ONCE)
        self.relisted_at = 0.0
        """Monotonic time of the last relist that succeeded; 0.0 before the first."""

    def uids(self) -> list[Uid]:
        """Every Pod the runtime has something of."""
        return [uid for uid, entry in self._pods.items() if entry.runtime.sandboxes or entry.runtime.containers]

    def containers(self) -> Iterator[Container]:
        """Every container the runtime has."""
        for entry in list(self._pods.values()):
            yield from entry.runtime.containers

    def get(self, uid: Uid) -> PodRuntime | None:
        """What is known of a Pod, without asking; None if the runtime has nothing of it."""
        entry = self._pods.get(uid)
        return entry.runtime if entry else None

    def expire(self, uid: Uid) -> None:
        """What is known may no longer hold: `current` will ask. Called when an operation has ended."""
        entry = self._pods.get(uid)
        if entry is None:
            entry = self._pods[uid] = _Entry(PodRuntime(uid=uid, namespace="", name=""))
        entry.stale = True

    async def current(self, uid: Uid) -> PodRuntime | None:
        """What is known of a Pod, asked for anew if it has expired. Raises CriError."""
        entry = self._pods.get(uid)
        if entry is not None and entry.stale:
            await self.refresh(uid)
        return self.get(uid)

    def forget(self, uid: Uid) -> None:
        """Drop a Pod of which the runtime has nothing any more."""
        entry = self._pods.get(uid)
        if entry is not None and not entry.runtime.sandboxes and not entry.runtime.containers:
            del self._pods[uid]

    async def refresh(self, uid: Uid) -> None:
        """Ask the runtime for all it has of one Pod; wakes nobody. Raises CriError."""
        entry = self._pods.get(uid)
        began = entry.version if entry else 0
        if entry is not None:
            entry.stale = False
        labels = {observed.POD_UID_LABEL: uid}
        try:
            with meters.pod_relist.time():
                sandboxes, containers = await asyncio.gather(
                    self._runtime.list_sandboxes(labels=labels), self._runtime.list_containers(labels=labels)
                )
                await self._merge(uid, sandboxes, containers, listed_at=began)
        except BaseException:
            self.expire(uid)
            raise

    async def relist(self) -> None:
        """Ask the runtime for everything and wake each Pod that differs from what was known. Raises CriError."""
        versions = {uid: entry.version for uid, entry in self._pods.items()}
        sandboxes, containers = await asyncio.gather(self._runtime.list_sandboxes(), self._runtime.list_containers())
        by_uid: dict[Uid, tuple[list[Sandbox], list[Container]]] = {}
        for sandbox in sandboxes:
            by_uid.setdefault(sandbox.uid, ([], []))[0].append(sandbox)
        for container in containers:
            if container.pod_uid:
                by_uid.setdefault(container.pod_uid, ([], []))[1].append(container)
        for uid in {*by_uid, *versions}:
            mine = by_uid.get(uid, ([], []))
            if await self._merge(uid, mine[0], mine[1], listed_at=versions.get(uid, 0)):
                self._wake(uid)
        self.relisted_at = time.monotonic()

    def take(self, event: observed.RuntimeEvent) -> None:
        """Learn from an event: from what came with it if the runtime fills it in, else by asking at the next step."""
        uid = event.pod_uid
        if not uid:
            return
        entry = self._pods.get(uid)
        if event.kind is observed.EventKind.DELETED:
            if entry is None:
                return
            entry.gone.add(event.container_id)
            changed = self._put(uid, entry.runtime.sandboxes, entry.runtime.containers)
        elif event.sandbox is None:
            self.expire(uid)
            changed = True
        else:
            known = entry.runtime if entry else PodRuntime(uid=uid, namespace="", name="")
            changed = self._put(
                uid,
                _with_sandboxes(known.sandboxes, (event.sandbox,)),
                _with_containers(known.containers, event.containers),
            )
        if changed:
            (self._began if _only_begins(event) else self._wake)(uid)

    async def _merge(
        self, uid: Uid, sandboxes: Iterable[Sandbox], containers: Iterable[Container], *, listed_at: int
    ) -> bool:
        """Take over a list that was asked for when the entry had version `listed_at`; True if it told anything new."""
        entry = self._pods.get(uid)
        known = entry.runtime if entry else PodRuntime(uid=uid, namespace="", name="")
        known_sandboxes = {s.id: s for s in known.sandboxes}
        known_containers = {c.id: c for c in known.containers}
        asked = await asyncio.gather(*(self._sandbox(s, known_sandboxes.get(s.id)) for s in sandboxes))
        detailed = await asyncio.gather(*(self._container(c, known_containers.get(c.id)) for c in containers))
        full_sandboxes, full_containers = [s for s in asked if s], [c for c in detailed if c]
        entry = self._pods.get(uid)
        if entry is None or entry.version == listed_at:
            changed = self._put(uid, full_sandboxes, full_containers)
            if entry is not None:
                # The list was the whole truth: nothing that is gone can come back from older news.
                entry.gone.clear()
            return changed
        # News came while we asked: what the list lacks may just be younger than the list, so it stays for now.
        now = entry.runtime
        entry.stale = len(full_sandboxes) < len(now.sandboxes) or len(full_containers) < len(now.containers)
        return self._put(
            uid,
            _with_sandboxes(now.sandboxes, full_sandboxes),
            _with_containers(now.containers, full_containers),
        )

    async def _sandbox(self, listed: Sandbox, known: Sandbox | None) -> Sandbox | None:
        if known is not None and (known.detailed or listed.state is SandboxState.NOT_READY):
            return known if known.state is listed.state else dataclasses.replace(known, state=listed.state)
        if listed.state is SandboxState.NOT_READY:
            return listed
        async with self._details:
            try:
                return await self._runtime.sandbox_status(listed.id)
            except errors.NotFound:
                return None

    async def _container(self, listed: Container, known: Container | None) -> Container | None:
        if known is not None and known.detailed and _RANK[known.state] >= _RANK[listed.state]:
            return known
        async with self._details:
            try:
                return await self._runtime.container_status(listed.id, sandbox=listed.sandbox_id)
            except errors.NotFound:
                return None

    def _put(self, uid: Uid, sandboxes: Iterable[Sandbox], containers: Iterable[Container]) -> bool:
        entry = self._pods.get(uid)
        gone = entry.gone if entry else set()
        kept_sandboxes = tuple(sorted((s for s in sandboxes if s.id not in gone), key=_age))
        kept = tuple(sorted((c for c in containers if c.id not in gone), key=_age))
        if entry is None:
            if not kept_sandboxes and not kept:
                return False
            entry = self._pods[uid] = _Entry(PodRuntime(uid=uid, namespace="", name=""))
        namespace, name = entry.runtime.namespace, entry.runtime.name
        if kept_sandboxes:
            namespace, name = kept_sandboxes[0].namespace, kept_sandboxes[0].name
        elif kept:
            labels = kept[0].labels
            namespace = labels.get(observed.POD_NAMESPACE_LABEL, namespace)
            name = labels.get(observed.POD_NAME_LABEL, name)
        runtime = PodRuntime(uid=uid, namespace=namespace, name=name, sandboxes=kept_sandboxes, containers=kept)
        if runtime == entry.runtime:
            return False
        entry.runtime = runtime
        entry.version += 1
        return True


def _only_begins(event: observed.RuntimeEvent) -> bool:
    # What has ended meanwhile may stand in it already; the event of that tells nothing new then.
    return event.kind in _BEGINNINGS and all(one.state is not ContainerState.EXITED for one in event.containers)


def _age(item: Sandbox | Container) -> tuple[float, int]:
    return -item.created_at, -item.attempt


def _with_sandboxes(known: Iterable[Sandbox], news: Iterable[Sandbox]) -> list[Sandbox]:
    found: dict[SandboxId, Sandbox] = {s.id: s for s in known}
    for new in news:
        old = found.get(new.id)
        if old is None or old.state is SandboxState.READY:
            # A sandbox that has stopped has no addresses any more; what it had may still be asked for.
            keeps = old is not None and old.ips and not new.ips
            found[new.id] = dataclasses.replace(new, ips=old.ips) if old is not None and keeps else new
    return list(found.values())


def _with_containers(known: Iterable[Container], news: Iterable[Container]) -> list[Container]:
    found: dict[ContainerId, Container] = {c.id: c for c in known}
    for new in news:
        old = found.get(new.id)
        if old is None or _RANK[new.state] > _RANK[old.state] or (new.detailed and not old.detailed):
            found[new.id] = new
    return list(found.values())
