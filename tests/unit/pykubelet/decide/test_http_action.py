"""The request that an httpGet asks for."""

import pytest

from pykubelet.decide import http_action
from pykubelet.model.container import Container, ContainerPort, HTTPGetAction, HTTPHeader

CONTAINER = Container(name="c", ports=(ContainerPort(container_port=80, name="web"),))


@pytest.mark.parametrize(
    ("action", "url"),
    [
        pytest.param(HTTPGetAction(port=80), "http://127.0.0.1:80/", id="no path is the root"),
        pytest.param(
            HTTPGetAction(port="web", path="x?y=1"), "http://127.0.0.1:80/x?y=1", id="a slash is put in front"
        ),
        pytest.param(HTTPGetAction(port=1, scheme="HTTPS", host="::1"), "https://[::1]:1/", id="IPv6 in brackets"),
        pytest.param(HTTPGetAction(port="8080"), "http://127.0.0.1:8080/", id="a number written as a name"),
    ],
)
def test_url(action: HTTPGetAction, url: str) -> None:
    assert http_action.url_of(action, CONTAINER, "127.0.0.1") == url


def test_a_port_name_that_the_container_does_not_have() -> None:
    with pytest.raises(http_action.NoSuchPortError, match="couldn't find port: nope in container c"):
        http_action.port_number("nope", CONTAINER)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        pytest.param([], [("User-Agent", "us"), ("Accept", "*/*")], id="none"),
        pytest.param(
            [("x", "1"), ("X", "2"), ("user-agent", "me"), ("ACCEPT", "text/html")],
            [("x", "1"), ("X", "2"), ("user-agent", "me"), ("ACCEPT", "text/html")],
            id="their own",
        ),
        pytest.param([("accept", "")], [("User-Agent", "us")], id="no Accept at all"),
    ],
)
def test_headers(asked: list[tuple[str, str]], sent: list[tuple[str, str]]) -> None:
    action = HTTPGetAction(port=80, http_headers=tuple(HTTPHeader(name=name, value=value) for name, value in asked))
    assert http_action.headers_of(action, user_agent="us") == sent
