"""A start without API server goes on from what was last known; what a server says later is the truth."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nodekit.kube import fake, watch
from nodekit.kube.client import Client, Selection
from nodekit.kube.shelf import Shelf, Shelves
from nodekit.objects import lease, meta
from nodekit.objects.meta import Key

LEASES = lease.LEASES


def of(name: str, holder: str) -> lease.Lease:
    metadata = meta.ObjectMeta(name=name, namespace="nodes")
    return lease.Lease(metadata=metadata, spec=lease.LeaseSpec(holder_identity=holder))


@contextlib.asynccontextmanager
async def agent(api: fake.FakeApi, folder: Path) -> AsyncIterator[watch.Reflector[lease.Lease, lease.Lease]]:
    """A process that mirrors the Leases and keeps them."""
    shelves = Shelves(folder)
    shelf = shelves.of("leases", lease.Lease)
    mirror = watch.whole(Client(api), LEASES, selection=Selection(namespace="nodes"), shelf=shelf)
    tasks = [asyncio.create_task(mirror.run()), asyncio.create_task(shelves.run())]
    try:
        yield mirror
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def holders(mirror: watch.Reflector[lease.Lease, lease.Lease]) -> dict[str, str | None]:
    return {key.name: item.spec.holder_identity for key, item in mirror.store.items()}


async def until_synced(mirror: watch.Reflector[lease.Lease, lease.Lease], *, fresh: bool = False) -> None:
    async with asyncio.timeout(10):
        await (mirror.fresh if fresh else mirror.synced).wait()


async def test_what_was_known_is_used_until_a_server_answers(tmp_path: Path) -> None:
    api = fake.FakeApi()
    api.put(LEASES, of("stays", "one"))
    api.put(LEASES, of("goes", "one"))
    async with agent(api, tmp_path) as mirror:
        await until_synced(mirror)
        api.put(LEASES, of("stays", "two"))
        async with asyncio.timeout(5):
            while holders(mirror)["stays"] != "two":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    api.go_down()
    async with agent(api, tmp_path) as mirror:
        told: list[tuple[str, str]] = []
        mirror.subscribe(lambda change: told.append((change.kind, change.key.name)))
        await until_synced(mirror)
        assert holders(mirror) == {"stays": "two", "goes": "one"}
        assert not mirror.fresh.is_set(), "nobody has said that this is all"
        assert sorted(told) == [("added", "goes"), ("added", "stays")]
        told.clear()
        api.remove(LEASES, Key("nodes", "goes"))
        api.put(LEASES, of("stays", "three"))
        api.come_up()
        await until_synced(mirror, fresh=True)
        assert holders(mirror) == {"stays": "three"}
        assert sorted(told) == [("deleted", "goes"), ("updated", "stays")]


async def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    api = fake.FakeApi()
    api.go_down()
    async with agent(api, tmp_path) as mirror:
        async with asyncio.timeout(10):
            while mirror.failing_since is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not mirror.synced.is_set()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="an empty file, as a power cut leaves it"),
        pytest.param(b'[["nodes", "a", {"metadata"', id="half a file"),
        pytest.param(b"[1, 2]", id="another shape"),
        pytest.param(b"\xff\x00", id="not text"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_of_and_left_aside(
    tmp_path: Path, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    shelf: Shelf[lease.Lease] = Shelves(tmp_path).of("leases", lease.Lease)
    shelf.path.write_bytes(body)
    assert shelf.load() is None
    assert "leases.json is left aside" in caplog.text


async def test_files_are_for_their_owner_alone_and_go_when_nobody_needs_them(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path)
    kept = {name: shelves.of(name, str) for name in ("a/one", "a/two")}
    for shelf in kept.values():
        shelf.keep(lambda: {Key("n", "x"): "hidden"})
    await shelves.flush()
    assert [oct(path.stat().st_mode & 0o777) for path in sorted(tmp_path.rglob("*"))] == ["0o700", "0o600", "0o600"]
    kept["a/one"].remove()
    assert [path.name for path in tmp_path.rglob("*.json")] == ["two.json"]

    later = Shelves(tmp_path)
    later.of("a/one", str)
    later.sweep()
    assert kept["a/two"].path.exists(), "somebody may still ask for it"
    later.sweep()
    assert not kept["a/two"].path.exists()
