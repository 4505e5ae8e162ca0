"""What the cluster wants of this node, as the API's objects tell it."""

import asyncio
import contextlib
from datetime import UTC, datetime

import pytest

from nodekit.aio import virtual
from nodekit.kube import fake
from nodekit.kube.client import Client
from nodekit.objects import meta, node
from pyproxy.desired.world import World
from pyproxy.model import address as addresses
from pyproxy.model import service
from pyproxy.model.address import Family
from pyproxy.model.options import Options


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        pytest.param(None, {Family.IPV4: "198.18.0.11", Family.IPV6: "fd00::11"}, id="the Node's own"),
        pytest.param("198.18.9.9", {Family.IPV4: "198.18.9.9", Family.IPV6: "fd00::11"}, id="one to bind to"),
        pytest.param("fd00::9", {Family.IPV4: "198.18.0.11", Family.IPV6: "fd00::9"}, id="of the other family"),
    ],
)
def test_the_address_to_bind_to_is_the_nodes(bound: str | None, expected: dict[Family, str]) -> None:
    api = fake.FakeApi()
    ips = tuple(node.NodeAddress(type="InternalIP", address=ip) for ip in ("198.18.0.11", "fd00::11"))
    api.put(node.NODES, node.Node(metadata=meta.ObjectMeta(name="n1"), status=node.NodeStatus(addresses=ips)))
    options = Options("n1", bind_address=None if bound is None else addresses.parse(bound))
    world = World(Client(api), options, machine_ips=lambda: ())
    mirror(world)
    found = {family: world.node_ip(family) for family in Family}
    assert {family: ip and addresses.text(ip) for family, ip in found.items()} == expected


def test_only_triggers_that_somebody_takes_are_kept_and_each_once() -> None:
    api = fake.FakeApi()
    for family, address in (("IPv4", "10.1.0.1"), ("IPv6", "fd00::1")):
        labels = {service.SERVICE_NAME_LABEL: "a"}
        annotations = {service.TRIGGER_TIME_ANNOTATION: "2026-11-24T10:15:00Z"}
        about = meta.ObjectMeta(name=f"a-{family.lower()}", namespace="ns", labels=labels, annotations=annotations)
        endpoint = service.SliceEndpoint(addresses=(address,))
        api.put(
            service.ENDPOINT_SLICES, service.EndpointSlice(metadata=about, address_type=family, endpoints=(endpoint,))
        )
    world = World(Client(api), Options("n1"), machine_ips=lambda: ())
    woken: list[meta.Key] = []
    for _ in range(2):
        world.subscribe(lambda *keys: woken.extend(keys), lambda: None)
    world.keep_triggers([Family.IPV4])
    changed: list[meta.Key] = []
    world.count(services=lambda *keys: None, slices=lambda *keys: changed.extend(keys))
    mirror(world)
    owner = meta.Key("ns", "a")
    assert woken == [owner] * 4
    assert changed == [owner] * 2
    began = datetime(2026, 11, 24, 10, 15, tzinfo=UTC).timestamp()
    assert [world.take_triggers(owner, family) for family in Family] == [[began], []]
    assert world.take_triggers(owner, Family.IPV4) == []


def mirror(world: World) -> None:
    """Let it see all that the API server has."""

    async def scenario() -> None:
        task = asyncio.create_task(world.run())
        await world.synced()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    virtual.run(scenario())
