"""Stores follow the API server: changes, a watch that expired, a server that restarts, the next one when one fails."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable

import pytest

from nodekit.kube import errors, watch
from nodekit.kube.client import Client, Patch, PatchKind, Selection
from nodekit.objects import node
from nodekit.objects.meta import Key
from tests.contract import apiserver
from tests.contract.kube_kit import CONFIG_MAPS, Api, ConfigMap, client_of, config_map, with_genuine


@contextlib.asynccontextmanager
async def reflecting(client: Client, selection: Selection) -> AsyncIterator[watch.Reflector[ConfigMap, str]]:
    made = watch.Reflector(client, CONFIG_MAPS, keep=lambda item: item.data.get("a"), selection=selection)
    task = asyncio.create_task(made.run())
    try:
        async with asyncio.timeout(10):
            await made.synced.wait()
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def keep_asking(client: Client) -> None:
    """What an agent does whose Lease is due."""
    while True:
        with contextlib.suppress(errors.ApiError):
            await client.get(node.NODES, Key("", "nobody"))
        await asyncio.sleep(1)


async def eventually(check: Callable[[], bool], *, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not check():  # noqa: ASYNC110 - the check may be about anything
            await asyncio.sleep(0.01)


async def test_a_store_follows_the_server(client: Client) -> None:
    await client.create(CONFIG_MAPS, config_map("before", a="1"))
    await client.create(CONFIG_MAPS, config_map("ignored", b="1"))
    selection = Selection(namespace="default", fields="metadata.name!=unselected")
    async with reflecting(client, selection) as mirror:
        told: list[tuple[str, str, str | None]] = []

        def note(change: watch.Change[str]) -> None:
            assert mirror.store.get(change.key) == change.new  # the store is updated before anyone is told
            told.append((change.kind, change.key.name, change.new))

        mirror.subscribe(note)
        assert dict(mirror.store) == {Key("default", "before"): "1"}
        await client.create(CONFIG_MAPS, config_map("unselected", a="1"))
        await client.create(CONFIG_MAPS, config_map("after", a="1"))
        change = Patch(PatchKind.MERGE, b'{"data":{"a":"2"}}')
        await client.patch(CONFIG_MAPS, Key("default", "after"), change)
        await client.patch(CONFIG_MAPS, Key("default", "ignored"), change)
        await client.patch(CONFIG_MAPS, Key("default", "before"), Patch(PatchKind.MERGE, b'{"data":{"a":null}}'))
        await client.delete(CONFIG_MAPS, Key("default", "after"))
        await eventually(lambda: len(told) == 5)
        assert told == [
            ("added", "after", "1"),
            ("updated", "after", "2"),
            ("added", "ignored", "2"),
            ("deleted", "before", None),
            ("deleted", "after", None),
        ]
    await client.raw("DELETE", "/api/v1/namespaces/default/configmaps")


async def test_an_expired_watch_lists_anew(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    client = api.client
    caplog.set_level("INFO")
    await client.create(CONFIG_MAPS, config_map("old", a="1"))
    async with reflecting(client, Selection(namespace="default")) as mirror:
        pass
    # A server that just started knows no history: a version from before makes it answer 410 to the watch.
    await api.stop()
    await api.start()
    mirror._version = "1"
    await client.create(CONFIG_MAPS, config_map("fresh", a="1"))
    task = asyncio.create_task(mirror.run())
    await eventually(lambda: Key("default", "fresh") in mirror.store)
    assert "too old to go on" in caplog.text
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await client.raw("DELETE", "/api/v1/namespaces/default/configmaps")


async def test_a_store_survives_a_restart_of_the_server(api: Api) -> None:
    client = api.client
    await client.create(CONFIG_MAPS, config_map("stays", a="1"))
    await client.create(CONFIG_MAPS, config_map("goes", a="1"))
    async with reflecting(client, Selection(namespace="default")) as mirror:
        await api.stop()
        await eventually(lambda: mirror.failing_since is not None)
        assert len(mirror.store) == 2
        await api.start()
        await eventually(lambda: mirror.failing_since is None, within=30)
        await client.delete(CONFIG_MAPS, Key("default", "goes"))
        await client.create(CONFIG_MAPS, config_map("comes", a="1"))
        await eventually(lambda: {key.name for key in mirror.store} == {"stays", "comes"})
    await client.raw("DELETE", "/api/v1/namespaces/default/configmaps")


@with_genuine
async def test_the_next_server_is_asked_when_one_does_not_answer(server: apiserver.Server) -> None:
    servers = f"https://{apiserver.ADDRESS}:1, {server.url}"
    async with client_of(server.kubeconfig("two", user={"token": apiserver.TOKEN}, servers=servers)) as client:
        await client.list(node.NODES)
        assert client.transport.server == server.url
    nowhere = f"https://{apiserver.ADDRESS}:1"
    async with client_of(server.kubeconfig("none", user={"token": "t"}, servers=nowhere)) as client:
        with pytest.raises(errors.Unreachable, match="list nodes at https"):
            await client.list(node.NODES)


@with_genuine
@pytest.mark.parametrize(
    ("sign", "within"),
    [
        pytest.param(signal.SIGKILL, 5, id="is killed"),
        # Its kernel still takes connections, so that only its silence tells.
        pytest.param(signal.SIGSTOP, 30, id="hangs"),
    ],
)
async def test_a_watch_goes_on_at_the_next_server_and_returns(
    server: apiserver.Server, sign: signal.Signals, within: float
) -> None:
    second = await asyncio.to_thread(server.start_second)
    servers = f"{second},{server.url}"  # the second one is preferred, as the first serves the other cases
    name = sign.name.lower()
    try:
        async with (
            client_of(server.kubeconfig("both", user={"token": apiserver.TOKEN}, servers=servers)) as client,
            reflecting(client, Selection(namespace="default")) as mirror,
            client_of(server.kubeconfig("first", user={"token": apiserver.TOKEN})) as other,
        ):
            assert client.transport.server == second
            server.processes["kube-apiserver-2"].send_signal(sign)
            await other.create(CONFIG_MAPS, config_map(name, a="1"))
            asking = asyncio.create_task(keep_asking(client))
            await eventually(lambda: Key("default", name) in mirror.store, within=within)
            assert client.transport.server == server.url
            asking.cancel()
            server.stop("kube-apiserver-2")
            await asyncio.to_thread(server.start_second)
            await eventually(lambda: client.transport.server == second, within=15)
            await other.create(CONFIG_MAPS, config_map(f"{name}-2", a="1"))
            await eventually(lambda: Key("default", f"{name}-2") in mirror.store)
            await other.raw("DELETE", "/api/v1/namespaces/default/configmaps")
    finally:
        server.stop("kube-apiserver-2")
