"""What is read from EndpointSlices, good and odd."""

from typing import Any

import pytest

from nodekit.objects import codec
from nodekit.objects.meta import Key
from pyproxy.decide import endpoints
from pyproxy.model import address as addresses
from pyproxy.model import service
from pyproxy.model.address import Family
from pyproxy.model.ports import Endpoint, PortName, Protocol

HTTP = PortName(Key("ns", "svc"), "http", Protocol.TCP)


def a_slice(
    *found: dict[str, Any], family: str = "IPv4", ports: Any = None, labels: Any = None
) -> service.EndpointSlice:
    return codec.of_builtins(
        service.EndpointSlice,
        {
            "metadata": {
                "name": "s",
                "namespace": "ns",
                "labels": {service.SERVICE_NAME_LABEL: "svc"} if labels is None else labels,
            },
            "addressType": family,
            "endpoints": list(found),
            "ports": ports if ports is not None else [{"name": "http", "port": 80, "protocol": "TCP"}],
        },
    )


def ep(address: str, port: int = 80, **fields: Any) -> Endpoint:
    packed = addresses.parse(address)
    assert packed is not None
    return Endpoint(packed, port, **fields)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        pytest.param([{"addresses": ["10.0.0.1"]}], [ep("10.0.0.1")], id="absent conditions mean ready and serving"),
        pytest.param([{"addresses": ["10.0.0.1", "10.0.0.2"]}], [ep("10.0.0.1")], id="only the first address counts"),
        pytest.param([{"addresses": []}, {"addresses": ["x"]}], [], id="what has no address is left out"),
        pytest.param([{"addresses": ["fd00::1"]}], [], id="an IPv6 address in an IPv4 slice is left out"),
        pytest.param(
            [{"addresses": ["10.0.0.1"], "nodeName": "n1"}],
            [ep("10.0.0.1", local=True, node="n1")],
            id="this node's are local",
        ),
        pytest.param(
            [{"addresses": ["10.0.0.1"], "conditions": {"ready": False, "serving": True, "terminating": True}}],
            [ep("10.0.0.1", ready=False, terminating=True)],
            id="a terminating one may serve",
        ),
        pytest.param(
            [{"addresses": ["10.0.0.1"], "hints": {"forZones": [{"name": "z"}], "forNodes": [{"name": "n"}]}}],
            [ep("10.0.0.1", zones=frozenset({"z"}), nodes=frozenset({"n"}))],
            id="hints are kept",
        ),
    ],
)
def test_endpoints_of_a_slice(found: list, wanted: list) -> None:
    assert list(dict(endpoints.read(a_slice(*found), HTTP.service, "n1")).get(HTTP, ())) == wanted


@pytest.mark.parametrize(
    "port",
    [
        pytest.param({"name": None, "port": 80}, id="no name"),
        pytest.param({"name": "http", "port": None}, id="no number"),
        pytest.param({"name": "http", "port": 0}, id="port zero"),
        pytest.param({"name": "http", "port": 65536}, id="a port too high"),
        pytest.param({"name": "http", "port": 80, "protocol": "QUIC"}, id="an unknown protocol"),
    ],
)
def test_a_slices_odd_port_is_left_out(port: dict) -> None:
    assert endpoints.read(a_slice({"addresses": ["10.0.0.1"]}, ports=[port]), HTTP.service, "n1") == ()


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({}, id="of no Service"),
        pytest.param({service.SERVICE_NAME_LABEL: "svc", service.HEADLESS_LABEL: ""}, id="of a headless Service"),
        pytest.param({service.SERVICE_NAME_LABEL: "svc", service.PROXY_NAME_LABEL: "other"}, id="of another proxy"),
    ],
)
def test_a_slice_that_is_not_for_us_is_left_out(labels: dict) -> None:
    assert endpoints.owner(a_slice(labels=labels)) is None


def test_a_backend_in_two_slices_is_the_one_that_stays() -> None:
    leaving = a_slice({"addresses": ["10.0.0.1"], "conditions": {"ready": False, "terminating": True}})
    staying = a_slice({"addresses": ["10.0.0.1"]})
    read = [endpoints.read(one, HTTP.service, "n1") for one in (leaving, staying)]
    for order in (read, read[::-1]):
        assert endpoints.merge(order, HTTP, Family.IPV4) == (ep("10.0.0.1"),)


def test_each_family_sees_its_own_backends() -> None:
    read = [
        endpoints.read(a_slice({"addresses": ["10.0.0.1"]}), HTTP.service, "n1"),
        endpoints.read(a_slice({"addresses": ["fd00::1"]}, family="IPv6"), HTTP.service, "n1"),
    ]
    assert endpoints.merge(read, HTTP, Family.IPV4) == (ep("10.0.0.1"),)
    assert endpoints.merge(read, HTTP, Family.IPV6) == (ep("fd00::1"),)
