"""Who asks, what for, and how long an answer is remembered."""

import base64
import datetime as dt
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from nodekit.aio import clock, virtual
from pykubelet.config import parts
from pykubelet.config.settings import Settings
from pykubelet.serve import authn, authz, certificates, tls
from pykubelet.serve.identity import ANONYMOUS, Distrusted, Identity

ADMIN = Identity(name="admin", groups=("system:masters", "system:authenticated"))


@pytest.mark.parametrize(
    ("method", "path", "verb", "subresources"),
    [
        pytest.param("POST", "/exec/ns/pod/c", "create", ["proxy"], id="exec by POST creates"),
        pytest.param("GET", "/exec/ns/pod/c", "get", ["proxy"], id="exec by a WebSocket gets"),
        pytest.param("GET", "/containerLogs/ns/pod/c", "get", ["proxy"], id="container logs are the proxy's"),
        pytest.param("GET", "/pods", "get", ["pods", "proxy"], id="pods are fine-grained"),
        pytest.param("GET", "/pods/", "get", ["pods", "proxy"], id="with a slash too"),
        pytest.param("GET", "/podsx", "get", ["proxy"], id="another word is not pods"),
        pytest.param("GET", "/runningpods/", "get", ["pods", "proxy"], id="running pods are pods"),
        pytest.param("GET", "/healthz/ping", "get", ["healthz", "proxy"], id="health"),
        pytest.param("GET", "/configz", "get", ["configz", "proxy"], id="configuration"),
        pytest.param("GET", "/metrics/cadvisor", "get", ["metrics"], id="metrics are not the proxy's"),
        pytest.param("GET", "/stats/summary", "get", ["stats"], id="stats"),
        pytest.param("GET", "/logs/syslog", "get", ["log"], id="logs of the node"),
        pytest.param("PUT", "/nowhere", "update", ["proxy"], id="an unknown path is the proxy's"),
        pytest.param("BREW", "/nowhere", "", ["proxy"], id="an unknown method has no verb"),
    ],
)
def test_a_request_asks_for_subresources_of_the_node(
    method: str, path: str, verb: str, subresources: list[str]
) -> None:
    assert [(a.verb, a.subresource) for a in authz.attributes(method, path)] == [(verb, s) for s in subresources]


class Reviews:
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def who(self, token: str) -> Identity | None:
        self.asked.append(token)
        return ADMIN if token == "good" else None

    async def allows(self, user: Identity, wanted: authz.Attributes) -> bool:
        self.asked.append(wanted.subresource)
        return wanted.subresource == "metrics"


FOREIGN = Distrusted("a foreign CA")
ALICE = Identity(name="alice", groups=("system:authenticated",))


class Shown:
    """The certificate of a connection: whose it is, or why it is nobody's."""

    def __init__(self, found: Identity | Distrusted | None) -> None:
        self._found = found

    def who(self, request: web.BaseRequest) -> Identity | None:
        if isinstance(self._found, Distrusted):
            raise self._found
        return self._found


def asking(**headers: str) -> web.Request:
    return make_mocked_request("GET", "/", headers={name.replace("_", "-"): text for name, text in headers.items()})


def in_protocol(token: bytes) -> str:
    return f"v5.channel.k8s.io, {authn.IN_PROTOCOL}{base64.urlsafe_b64encode(token).decode().rstrip('=')}"


@pytest.mark.parametrize(
    ("shown", "headers", "anonymous", "expected"),
    [
        pytest.param(None, {"Authorization": "Bearer good"}, False, "admin", id="a good token"),
        pytest.param(None, {"Authorization": "bearer good"}, False, "admin", id="the scheme in any case"),
        pytest.param(None, {"Authorization": "Bearer bad"}, True, None, id="a bad token is not anonymous"),
        pytest.param(None, {"Authorization": "Basic x"}, True, ANONYMOUS, id="another scheme is no token"),
        pytest.param(None, {"Authorization": "Bearer "}, True, ANONYMOUS, id="an empty token is none"),
        pytest.param(None, {}, True, ANONYMOUS, id="anonymous where it is allowed"),
        pytest.param(None, {}, False, None, id="nobody where it is not"),
        pytest.param(ALICE, {"Authorization": "Bearer good"}, False, "alice", id="a certificate before a token"),
        pytest.param(FOREIGN, {}, True, None, id="a foreign certificate is not anonymous"),
        pytest.param(FOREIGN, {"Authorization": "Bearer good"}, True, "admin", id="but a good token beside it counts"),
        pytest.param(
            None,
            {"Upgrade": "websocket", "Sec_WebSocket_Protocol": in_protocol(b"good")},
            False,
            "admin",
            id="a token among a WebSocket's subprotocols",
        ),
        pytest.param(
            None,
            {"Sec_WebSocket_Protocol": in_protocol(b"good")},
            True,
            ANONYMOUS,
            id="subprotocols of what is no WebSocket are none",
        ),
        pytest.param(
            None,
            {"Upgrade": "websocket", "Sec_WebSocket_Protocol": f"{authn.IN_PROTOCOL}!"},
            True,
            None,
            id="a token that is not base64 is not anonymous",
        ),
    ],
)
async def test_who_asks(
    shown: Identity | Distrusted | None, headers: dict[str, str], anonymous: bool, expected: str | None
) -> None:
    now = clock.SystemClock()
    who = authn.Authenticator(certificates=Shown(shown), tokens=Reviews(), anonymous=anonymous, clock=now)
    try:
        user: Identity | None = await who.identify(asking(**headers))
    except Distrusted:
        user = None
    assert (user and user.name) == expected


def test_a_token_is_asked_about_once_in_two_minutes() -> None:
    async def scenario() -> None:
        reviews, now = Reviews(), clock.VirtualClock()
        who = authn.Authenticator(certificates=Shown(None), tokens=reviews, anonymous=False, clock=now)
        for wait in (0, 119, 2):
            await now.sleep(wait)
            assert await who.identify(asking(Authorization="Bearer good")) == ADMIN
        assert reviews.asked == ["good", "good"]

    virtual.run(scenario())


@pytest.mark.parametrize(
    ("subresource", "ttl"),
    [pytest.param("metrics", 300, id="a yes holds 5 minutes"), pytest.param("proxy", 30, id="a no holds 30 seconds")],
)
def test_an_answer_is_remembered(subresource: str, ttl: int) -> None:
    async def scenario() -> None:
        reviews, now = Reviews(), clock.VirtualClock()
        allowed = authz.Cached(reviews, clock=now)
        wanted = authz.Attributes("get", subresource)
        await allowed.allows(ADMIN, wanted)
        await now.sleep(ttl - 1)
        await allowed.allows(ADMIN, wanted)
        assert len(reviews.asked) == 1
        await now.sleep(2)
        await allowed.allows(ADMIN, wanted)
        await allowed.allows(Identity(name="other"), wanted)
        assert len(reviews.asked) == 3

    virtual.run(scenario())


def test_a_self_signed_certificate_is_made_once_and_again_when_it_ends(tmp_path: Path) -> None:
    now = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)

    def made(at: dt.datetime) -> bytes:
        pair = certificates.self_signed(tmp_path / "pki", node="n1", addresses=["198.18.0.11", "fd00::1"], now=at)
        assert pair.key.stat().st_mode & 0o777 == 0o600
        authority = parts.Authentication(x509=parts.X509(client_ca_file=str(pair.certificate)))
        tls.check(Settings(authentication=authority), pair)
        return pair.certificate.read_bytes()

    first = made(now)
    assert made(now + dt.timedelta(days=300)) == first
    assert made(now + dt.timedelta(days=365)) != first


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("TLS_AES_128_GCM_SHA256", ""),
    ],
)
def test_a_cipher_suite_has_openssls_name(suite: str, name: str) -> None:
    assert tls.openssl_name(suite) == name
    if name:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(name)
