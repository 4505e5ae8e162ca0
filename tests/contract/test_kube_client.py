"""The client: objects, patches, credentials, events. Same cases against the API server in memory and a genuine one."""

import asyncio
import contextlib

import msgspec
import pytest

from nodekit.aio.clock import SystemClock
from nodekit.kube import errors, events, patch
from nodekit.kube.client import Client, Patch, PatchKind, Selection
from nodekit.objects import base, codec, event, meta, node, status
from nodekit.objects.meta import Key
from nodekit.objects.quantity import Quantity
from nodekit.objects.resource import Resource
from tests.contract import apiserver
from tests.contract.kube_kit import CONFIG_MAPS, ConfigMap, client_of, config_map, genuine, with_genuine


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
