"""The mirror of the API server heals itself, in virtual time against the server in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from nodekit.aio import virtual
from nodekit.kube import errors, fake, watch
from nodekit.kube.client import Client, Selection
from nodekit.objects import lease, meta, node
from nodekit.objects.meta import Key

LEASES = lease.LEASES


def of(name: str, holder: str | None = None) -> lease.Lease:
    metadata = meta.ObjectMeta(name=name, namespace="nodes")
    return lease.Lease(metadata=metadata, spec=lease.LeaseSpec(holder_identity=holder))


@contextlib.asynccontextmanager
async def mirrored(api: fake.FakeApi) -> AsyncIterator[watch.Reflector[lease.Lease, lease.Lease]]:
    mirror = watch.whole(Client(api), LEASES, selection=Selection(namespace="nodes"))
    task = asyncio.create_task(mirror.run())
    try:
        yield mirror
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def names(mirror: watch.Reflector[lease.Lease, lease.Lease]) -> set[str]:
    return {key.name for key in mirror.store}


def test_it_waits_for_a_server_that_is_not_there_yet() -> None:
    async def scenario() -> None:
        api = fake.FakeApi()
        api.put(LEASES, of("a"))
        api.go_down()
        async with mirrored(api) as mirror:
            await asyncio.sleep(100)
            assert not mirror.synced.is_set()
            assert mirror.failing_since == 0
            api.come_up()
            await asyncio.sleep(16)  # the longest wait with its jitter
            assert mirror.synced.is_set()
            assert mirror.failing_since is None
            assert names(mirror) == {"a"}

    virtual.run(scenario())


def test_it_comes_back_as_soon_as_anybody_reached_the_server() -> None:
    async def scenario() -> None:
        api = fake.FakeApi()
        api.put(LEASES, of("a"))
        async with mirrored(api) as mirror:
            await asyncio.sleep(5)
            api.go_down()
            await asyncio.sleep(100)
            api.remove(LEASES, Key("nodes", "a"))
            before = mirror.failing_since
            api.come_up()
            assert before is not None
            await Client(api).list(node.NODES)
            await asyncio.sleep(0.4)
            assert names(mirror) == set()

    virtual.run(scenario())


def test_an_object_that_cannot_be_taken_in_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def keep(found: lease.Lease) -> str:
        if found.metadata.name == "bad":
            raise KeyError("no")
        return found.metadata.name

    async def scenario() -> None:
        api = fake.FakeApi()
        api.put(LEASES, of("bad"))
        api.put(LEASES, of("a"))
        mirror = watch.Reflector(Client(api), LEASES, keep=keep)
        task = asyncio.create_task(mirror.run())
        await asyncio.sleep(1)
        api.put(LEASES, of("bad", "x"))
        api.put(LEASES, of("b"))
        await asyncio.sleep(1)
        assert set(mirror.store.values()) == {"a", "b"}
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    virtual.run(scenario())
    assert caplog.text.count("leases nodes/bad is left out") == 2


def test_a_cut_watch_resumes_where_it_was_without_a_list() -> None:
    async def scenario() -> None:
        api = fake.FakeApi()
        api.put(LEASES, of("a"))
        async with mirrored(api) as mirror:
            await asyncio.sleep(5)
            api.cut_watches()
            api.put(LEASES, of("b"))
            await asyncio.sleep(5)
            assert names(mirror) == {"a", "b"}
        lists = [request for request in api.requests if request.method == "GET" and "watch" not in request.query]
        assert len(lists) == 1

    virtual.run(scenario())


def test_what_happened_while_nobody_watched_is_told_after_the_relist() -> None:
    async def scenario() -> None:
        api = fake.FakeApi()
        for name in ("same", "changes", "goes"):
            api.put(LEASES, of(name))
        async with mirrored(api) as mirror:
            await asyncio.sleep(5)
            told: list[tuple[str, str]] = []
            mirror.subscribe(lambda change: told.append((change.kind, change.key.name)))
            api.go_down()
            api.put(LEASES, of("changes", "x"))
            api.remove(LEASES, Key("nodes", "goes"))
            api.put(LEASES, of("comes"))
            api.forget_history()
            api.come_up()
            await asyncio.sleep(60)
            assert sorted(told) == [("added", "comes"), ("deleted", "goes"), ("updated", "changes")]
            assert names(mirror) == {"same", "changes", "comes"}

    virtual.run(scenario())


def test_a_watch_that_says_nothing_for_long_is_given_up() -> None:
    class Silent(fake.FakeApi):
        """Its watches stay open and never say anything."""

        async def _watch(self, request: object) -> AsyncIterator[bytes]:
            await asyncio.Event().wait()
            yield b""

    async def scenario() -> None:
        api = Silent()
        async with mirrored(api) as mirror:
            await asyncio.sleep(200)
            assert mirror.synced.is_set()
            watches = [request for request in api.requests if "watch" in request.query]
            assert len(watches) == 2

    virtual.run(scenario())


def test_a_failing_callback_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        api = fake.FakeApi()
        async with mirrored(api) as mirror:
            await asyncio.sleep(1)
            told: list[str] = []
            mirror.subscribe(lambda change: {}[change])  # type: ignore[index]
            mirror.subscribe(lambda change: told.append(change.key.name))
            api.put(LEASES, of("a"))
            await asyncio.sleep(1)
            assert told == ["a"]
            assert names(mirror) == {"a"}

    virtual.run(scenario())
    assert "a callback failed on added nodes/a" in caplog.text


def test_without_memory_the_mirror_ends_and_takes_no_object_for_gone() -> None:
    def keep(found: lease.Lease) -> str:
        raise MemoryError

    async def scenario() -> None:
        api = fake.FakeApi()
        api.put(LEASES, of("a"))
        mirror = watch.Reflector(Client(api), LEASES, keep=keep)
        with pytest.raises(MemoryError):
            await mirror.run()
        assert not mirror.synced.is_set()

    virtual.run(scenario())


def test_one_object_that_cannot_be_read_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    bad = {"metadata": {"name": "bad", "namespace": "nodes"}, "spec": {"leaseDurationSeconds": "long"}}

    async def scenario() -> None:
        api = fake.FakeApi()
        api.store.put(LEASES.path(), bad)
        api.put(LEASES, of("a"))
        async with mirrored(api) as mirror:
            await asyncio.sleep(1)
            assert names(mirror) == {"a"}
            api.store.put(LEASES.path(), bad)
            api.put(LEASES, of("b"))
            await asyncio.sleep(1)
            assert names(mirror) == {"a", "b"}
            assert mirror.failing_since is None

    virtual.run(scenario())
    assert "an object is left out, as it does not fit" in caplog.text
    assert "leaseDurationSeconds" in caplog.text


def test_what_leaves_the_selection_is_deleted_from_the_store() -> None:
    async def scenario() -> None:
        api = fake.FakeApi()
        api.put(node.NODES, node.Node(metadata=meta.ObjectMeta(name="n", labels={"in": "yes"})))
        mirror = watch.whole(Client(api), node.NODES, selection=Selection(labels="in=yes"))
        task = asyncio.create_task(mirror.run())
        await asyncio.sleep(1)
        assert len(mirror.store) == 1
        api.put(node.NODES, node.Node(metadata=meta.ObjectMeta(name="n", labels={"in": "no"})))
        await asyncio.sleep(1)
        assert len(mirror.store) == 0
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    virtual.run(scenario())


def test_a_refusal_is_told_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(request: object) -> bytes:
        raise errors.Forbidden("list leases", server="https://fake", code=403, reason="Forbidden", message="no")

    async def scenario() -> None:
        api = fake.FakeApi()
        api.answer("GET", ".*/leases", refuse)
        async with mirrored(api) as mirror:
            await asyncio.sleep(10)
            assert not mirror.synced.is_set()
            api.answer("GET", ".*/leases", lambda request: msgspec.json.encode({"metadata": {"resourceVersion": "1"}}))
            await asyncio.sleep(60)
            assert mirror.synced.is_set()

    virtual.run(scenario())
    assert "leases: not up to date: list leases at https://fake: Forbidden (403): no" in caplog.text
