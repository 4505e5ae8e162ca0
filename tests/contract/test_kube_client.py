"""The client, the watch and the events: the same cases against the API server in memory and a genuine one."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from nodekit.aio.clock import SystemClock
from nodekit.kube import auth, errors, events, fake, patch, watch
from nodekit.kube.client import Client, Patch, PatchKind, Selection
from nodekit.kube.transport import Transport
from nodekit.objects import base, codec, event, meta, node, status
from nodekit.objects.meta import Key
from nodekit.objects.quantity import Quantity
from nodekit.objects.resource import Resource
from tests.contract import apiserver

needs_genuine = [
    pytest.mark.skipif(
        "KUBEBUILDER_ASSETS" not in os.environ, reason="KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]
genuine = pytest.mark.parametrize("api", [pytest.param("genuine", marks=needs_genuine)], indirect=True)


def with_genuine(case: Any) -> Any:
    """For a case that needs no client but its own."""
    for mark in needs_genuine:
        case = mark(case)
    return case


class ConfigMap(meta.ApiObject):
    data: dict[str, str] = {}


CONFIG_MAPS = Resource(ConfigMap, "v1", "ConfigMap", "configmaps")


class Api(Protocol):
    """What a case may do to the server it runs against."""

    client: Client

    async def stop(self) -> None: ...

    async def start(self) -> None: ...


@dataclass
class Genuine:
    client: Client
    server: apiserver.Server

    async def stop(self) -> None:
        self.server.stop("kube-apiserver")

    async def start(self) -> None:
        # A thread made after the process entered the namespace is in it as well.
        await asyncio.to_thread(self.server.start_apiserver)


@dataclass
class InMemory:
    client: Client
    server: fake.FakeApi

    async def stop(self) -> None:
        self.server.go_down()

    async def start(self) -> None:
        # A server that just started knows no history.
        self.server.forget_history()
        self.server.come_up()


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[], apiserver.Server]]:
    """Starts the genuine one when a case first asks for it."""
    with contextlib.ExitStack() as stack:
        made: list[apiserver.Server] = []

        def server() -> apiserver.Server:
            if not made:
                made.append(stack.enter_context(apiserver.running()))
            return made[0]

        yield server


@contextlib.asynccontextmanager
async def client_of(path: Path) -> AsyncIterator[Client]:
    async with Transport(auth.load(path)) as transport:
        yield Client(transport)


@pytest.fixture(params=["fake", pytest.param("genuine", marks=needs_genuine)])
async def api(request: pytest.FixtureRequest, servers: Callable[[], apiserver.Server]) -> AsyncIterator[Api]:
    if request.param == "fake":
        made = fake.FakeApi()
        yield InMemory(Client(made), made)
        return
    server = servers()
    async with client_of(server.kubeconfig("token", user={"token": apiserver.TOKEN})) as client:
        yield Genuine(client, server)


@pytest.fixture
def client(api: Api) -> Client:
    return api.client


@pytest.fixture
def server(servers: Callable[[], apiserver.Server]) -> apiserver.Server:
    return servers()


def config_map(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=meta.ObjectMeta(name=name, namespace="default"), data=data)


async def eventually(check: Callable[[], bool], *, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not check():  # noqa: ASYNC110 - the check may be about anything
            await asyncio.sleep(0.01)


async def test_an_object_lives_its_life(client: Client) -> None:
    made = await client.create(CONFIG_MAPS, config_map("life", a="1"))
    assert made.metadata.uid
    with pytest.raises(errors.AlreadyExists):
        await client.create(CONFIG_MAPS, config_map("life"))
    changed = await client.update(CONFIG_MAPS, ConfigMap(metadata=made.metadata, data={"a": "2"}))
    with pytest.raises(errors.Conflict) as conflict:
        await client.update(CONFIG_MAPS, ConfigMap(metadata=made.metadata, data={"a": "3"}))
    assert "update configmaps/default/life" in str(conflict.value)
    assert "has been modified" in str(conflict.value)
    assert await client.get(CONFIG_MAPS, made.key) == changed
    other = status.DeleteOptions(preconditions=status.Preconditions(uid="another"))
    with pytest.raises(errors.Conflict):
        await client.delete(CONFIG_MAPS, made.key, other)
    await client.delete(CONFIG_MAPS, made.key, status.DeleteOptions(grace_period_seconds=0))
    with pytest.raises(errors.NotFound):
        await client.get(CONFIG_MAPS, made.key)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(Patch(PatchKind.MERGE, b'{"data":{"b":"2"}}'), id="merge"),
        pytest.param(Patch(PatchKind.STRATEGIC, b'{"data":{"b":"2"}}'), id="strategic"),
        pytest.param(Patch(PatchKind.JSON, b'[{"op":"add","path":"/data/b","value":"2"}]'), id="json"),
        pytest.param(
            Patch(
                PatchKind.APPLY,
                b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"patched"},"data":{"b":"2"}}',
                manager="test",
                force=True,
            ),
            id="apply",
        ),
    ],
)
async def test_each_kind_of_patch(client: Client, change: Patch) -> None:
    key = Key("default", "patched")
    await client.create(CONFIG_MAPS, config_map("patched", a="1"))
    try:
        assert (await client.patch(CONFIG_MAPS, key, change)).data == {"a": "1", "b": "2"}
    finally:
        await client.delete(CONFIG_MAPS, key)


@genuine
async def test_what_the_server_refuses_has_its_type(client: Client, server: apiserver.Server) -> None:
    with pytest.raises(errors.Invalid, match="Invalid value"):
        await client.create(CONFIG_MAPS, config_map("Not_A_Name"))
    with pytest.raises(errors.NotFound):
        await client.list(Resource(ConfigMap, "no.such/v1", "No", "nothings"))
    async with client_of(server.kubeconfig("bad", user={"token": "wrong"})) as stranger:
        with pytest.raises(errors.Unauthorized):
            await stranger.get(node.NODES, Key("", "n1"))
    async with client_of(server.kubeconfig("weak", user={"token": "weak-token"})) as weak:
        with pytest.raises(errors.Forbidden, match='User "weak" cannot get'):
            await weak.get(node.NODES, Key("", "n1"))


async def test_a_status_is_written_beside_the_object(client: Client) -> None:
    key = Key("", "n1")
    await client.create(node.NODES, node.Node(metadata=meta.ObjectMeta(name="n1")))
    body = codec.encode({"status": node.NodeStatus(capacity={"memory": Quantity.of_bytes(3 << 30)})})
    try:
        patched = await client.patch(node.NODES, key, Patch(PatchKind.STRATEGIC, body), subresource="status")
        assert str(patched.status.capacity["memory"]) == "3Gi"
    finally:
        await client.delete(node.NODES, key)


@genuine
async def test_a_post_may_answer_with_another_kind(client: Client) -> None:
    class Spec(base.Object):
        token: str = ""

    class Verdict(base.Object):
        authenticated: bool = False

    class Review(base.Object):
        kind: str = ""
        api_version: str = ""
        spec: Spec = Spec()
        status: Verdict = Verdict()

    ask = Review(kind="TokenReview", api_version="authentication.k8s.io/v1", spec=Spec(token=apiserver.TOKEN))
    answer = await client.post("/apis/authentication.k8s.io/v1/tokenreviews", ask, Review)
    assert answer.status.authenticated


@genuine
async def test_long_lists_come_in_pages(client: Client) -> None:
    for batch in range(12):
        names = [f"page-{batch}-{number}" for number in range(50)]
        await asyncio.gather(*(client.create(CONFIG_MAPS, config_map(name)) for name in names))
    selection = Selection(namespace="default")
    pages = [len(page.items) async for page in client.pages(CONFIG_MAPS, selection)]
    assert pages[0] == 500
    assert len(pages) == 2
    listing = await client.list(CONFIG_MAPS, selection)
    assert len({item.key for item in listing.items}) == sum(pages)
    await client.raw("DELETE", "/api/v1/namespaces/default/configmaps")


@with_genuine
async def test_a_rotated_client_certificate_is_used_at_once(server: apiserver.Server) -> None:
    server.write_client("rotating", user="weak", group="nobody")
    user = {"client-certificate": "rotating.crt", "client-key": "rotating.key"}
    async with client_of(server.kubeconfig("rotating", user=user)) as client:
        with pytest.raises(errors.Forbidden, match='User "weak"'):
            await client.list(node.NODES)
        server.write_client("rotating", user="strong", group="system:masters")
        await client.list(node.NODES)


@with_genuine
async def test_a_plugin_whose_token_is_refused_signs_in_anew(server: apiserver.Server) -> None:
    (server.folder / "token").write_text("stale")
    answer = '{"apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "%s"}}'
    script = f"printf '{answer}' $(cat {server.folder}/token)"
    entry = {"command": "sh", "args": ["-c", script], "apiVersion": "client.authentication.k8s.io/v1"}
    async with client_of(server.kubeconfig("plugin", user={"exec": entry})) as client:
        with pytest.raises(errors.Unauthorized):
            await client.list(node.NODES)
        (server.folder / "token").write_text(apiserver.TOKEN)
        await client.list(node.NODES)


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


async def keep_asking(client: Client) -> None:
    """What an agent does whose Lease is due."""
    while True:
        with contextlib.suppress(errors.ApiError):
            await client.get(node.NODES, Key("", "nobody"))
        await asyncio.sleep(1)


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


async def test_events_are_counted_on_the_server(client: Client) -> None:
    recorder = events.Recorder(client, component="kubelet", host="n1", clock=SystemClock())
    task = asyncio.create_task(recorder.run())
    about = meta.ObjectReference(api_version="v1", kind="Pod", namespace="default", name="web", uid="u")
    try:
        for _ in range(3):
            recorder.warning(about, "BackOff", message="restarting failed container")
        recorder.normal(about, "Pulled", message="image is here")
        async with asyncio.timeout(10):
            await recorder.flush()
        stored = {item.reason: item for item in (await client.list(event.EVENTS, Selection("default"))).items}
        assert {reason: item.count for reason, item in stored.items()} == {"BackOff": 3, "Pulled": 1}
        back_off = stored["BackOff"]
        assert (back_off.type, back_off.source.component, back_off.reporting_instance) == ("Warning", "kubelet", "n1")
        assert back_off.metadata.name.startswith("web.")
        # An event lives an hour: one that the server forgot is told anew.
        await client.delete(event.EVENTS, back_off.key)
        recorder.warning(about, "BackOff", message="restarting failed container")
        async with asyncio.timeout(10):
            await recorder.flush()
        assert (await client.get(event.EVENTS, back_off.key)).count == 4
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_node_status_becomes_what_the_patch_says(client: Client) -> None:
    key = Key("", "n2")
    created = await client.create(node.NODES, node.Node(metadata=meta.ObjectMeta(name="n2")))
    first = node.NodeStatus(
        conditions=(
            node.NodeCondition(type="Ready", status="False", reason="Starting"),
            node.NodeCondition(type="DiskPressure", status="False"),
        ),
        addresses=(node.NodeAddress(type="InternalIP", address="198.18.0.9"),),
        capacity={"cpu": Quantity.of(2), "example.com/gone": Quantity.of(1)},
    )
    second = node.NodeStatus(
        conditions=(node.NodeCondition(type="Ready", status="True"), node.NodeCondition(type="X", status="True")),
        addresses=(
            node.NodeAddress(type="InternalIP", address="198.18.0.9"),
            node.NodeAddress(type="InternalIP", address="fd00::9"),
            node.NodeAddress(type="Hostname", address="n2"),
        ),
        capacity={"cpu": Quantity.of(2)},
    )
    try:
        known = created
        for wanted in (first, second, first):
            change = patch.strategic(known, msgspec.structs.replace(known, status=wanted), uid=known.metadata.uid)
            assert change is not None
            known = await client.patch(node.NODES, key, change, subresource="status")
            assert set(known.status.conditions) == set(wanted.conditions)
            assert known.status.addresses == wanted.addresses
            assert known.status.capacity == wanted.capacity
        stale = patch.strategic(node.Node(), node.Node(status=second), uid="another")
        assert stale is not None
        with pytest.raises(errors.Invalid, match=r"metadata\.uid"):
            await client.patch(node.NODES, key, stale, subresource="status")
    finally:
        await client.delete(node.NODES, key)
