"""The CSINode names the drivers of the node, and the Node carries their topology."""

import json

import pytest

from nodekit.aio import virtual
from nodekit.kube import fake
from nodekit.kube.client import Client
from nodekit.objects.meta import Key, ObjectMeta
from nodekit.objects.node import NODES, Node
from pykubelet.model.csi import NodeInfo
from pykubelet.model.csi_node import CSI_NODES, CSINode, CSINodeDriver
from pykubelet.report.csi_node import NODE_ID, CSINodeReporter

KEY = Key("", "n1")


class Own:
    name = "n1"

    def __init__(self, api: fake.FakeApi) -> None:
        self._api = api

    @property
    def current(self) -> Node | None:
        return self._api.find(NODES, KEY)


def _drivers(api: fake.FakeApi) -> dict[str, CSINodeDriver]:
    found = api.find(CSI_NODES, KEY)
    return {driver.name: driver for driver in (found or CSINode()).spec.drivers}


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        pytest.param((), {"a", "old"}, id="a driver that may come back stays"),
        pytest.param(("old",), {"a"}, id="one that was seen to go does not"),
    ],
)
def test_drivers_are_named(gone: tuple[str, ...], left: set[str]) -> None:
    async def scenario() -> None:
        api = fake.FakeApi()
        node = api.put(NODES, Node(metadata=ObjectMeta(name="n1", uid="n-uid", labels={"own": "1"})))
        reporter = CSINodeReporter(Client(api), Own(api))  # type: ignore[arg-type]
        reporter.drivers = lambda: {"old": NodeInfo("o")}
        await reporter.ensure(node)
        reporter.drivers = lambda: {"a": NodeInfo("id-a", max_volumes=3, topology={"zone.a": "z"})}
        reporter.gone = lambda: gone
        await reporter.ensure(api.find(NODES, KEY) or node)
        assert _drivers(api).keys() == left
        assert _drivers(api)["a"].topology_keys == ("zone.a",)
        assert (limit := _drivers(api)["a"].allocatable) is not None
        assert limit.count == 3
        labelled = api.find(NODES, KEY)
        assert labelled is not None
        assert labelled.metadata.labels == {"own": "1", "zone.a": "z"}
        assert json.loads(labelled.metadata.annotations[NODE_ID])["a"] == "id-a"

    virtual.run(scenario())
