"""Which endpoints a node uses."""

from dataclasses import replace

import pytest

from nodekit.objects.meta import Key
from pyproxy.decide import topology
from pyproxy.model.address import Address
from pyproxy.model.ports import Endpoint, PortName, Protocol, ServicePort

PORT = ServicePort(PortName(Key("ns", "svc"), "", Protocol.TCP), Address(b"\x0a\0\0\1"), 80)
EXTERNAL_LOCAL = replace(PORT, node_port=30000, external_local=True)
INTERNAL_LOCAL = replace(PORT, internal_local=True)
HERE = topology.Place("n1", "z1")


def ep(number: int, **fields: object) -> Endpoint:
    made = Endpoint(Address(bytes((10, 0, 1, number))), 80)
    return replace(made, **{"serving": fields.get("ready", True), **fields})  # type: ignore[arg-type]


def leaving(number: int, **fields: object) -> Endpoint:
    return ep(number, ready=False, serving=True, terminating=True, **fields)


@pytest.mark.parametrize(
    ("port", "endpoints", "cluster", "local", "anywhere"),
    [
        pytest.param(PORT, [], "", "", False, id="nothing gives nothing"),
        pytest.param(PORT, [ep(1), ep(2, ready=False)], "1", "", True, id="only ready endpoints are used"),
        pytest.param(PORT, [ep(1), leaving(2)], "1", "", True, id="a terminating one is left while others are ready"),
        pytest.param(PORT, [leaving(1), leaving(2)], "12", "", True, id="terminating ones serve when nothing is ready"),
        pytest.param(
            PORT, [ep(1, ready=False)], "", "", False, id="one that neither is ready nor serves is no fallback"
        ),
        pytest.param(INTERNAL_LOCAL, [ep(1), ep(2, local=True)], "", "2", True, id="internal Local uses no others"),
        pytest.param(INTERNAL_LOCAL, [ep(1)], "", "", True, id="internal Local without local ones knows of the others"),
        pytest.param(EXTERNAL_LOCAL, [ep(1), ep(2, local=True)], "12", "2", True, id="external Local keeps both lists"),
        pytest.param(
            EXTERNAL_LOCAL, [ep(1), leaving(2, local=True)], "1", "2", True, id="the fallback is each policy's own"
        ),
        pytest.param(
            PORT,
            [ep(1, zones=frozenset({"z1"})), ep(2, zones=frozenset({"z2"}))],
            "1",
            "",
            True,
            id="zone hints choose the zone's endpoints",
        ),
        pytest.param(
            PORT, [ep(1, zones=frozenset({"z1"})), ep(2)], "12", "", True, id="one without a hint ends all hints"
        ),
        pytest.param(
            PORT, [ep(1, zones=frozenset({"z2"}))], "1", "", True, id="a zone without an endpoint uses them all"
        ),
        pytest.param(
            PORT,
            [
                ep(1, zones=frozenset({"z1"}), nodes=frozenset({"n2"})),
                ep(2, zones=frozenset({"z1"}), nodes=frozenset({"n1"})),
            ],
            "2",
            "",
            True,
            id="node hints go before zone hints",
        ),
        pytest.param(
            PORT,
            [
                ep(1, zones=frozenset({"z1"}), nodes=frozenset({"n2"})),
                ep(2, zones=frozenset({"z2"}), nodes=frozenset({"n3"})),
            ],
            "1",
            "",
            True,
            id="without one for the node its zone counts",
        ),
    ],
)
def test_choice(port: ServicePort, endpoints: list[Endpoint], cluster: str, local: str, anywhere: bool) -> None:
    choice = topology.choose(port, endpoints, HERE)
    assert "".join(str(e.address[-1]) for e in choice.cluster) == cluster
    assert "".join(str(e.address[-1]) for e in choice.local) == local
    assert choice.anywhere == anywhere
