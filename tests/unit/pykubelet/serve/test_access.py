"""Who asks, what for, and how long an answer is remembered."""

import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from nodekit.aio import clock, virtual
from pykubelet.config import parts
from pykubelet.config.settings import Settings
from pykubelet.serve import authn, authz, certificates, tls
from pykubelet.serve.authn import Identity

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


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        pytest.param(
            {"subject": ((("organizationName", "system:masters"),), (("commonName", "admin"),))},
            ADMIN,
            id="the common name is the user, organizations are groups",
        ),
        pytest.param({"subject": ((("organizationName", "x"),),)}, None, id="without a common name it is nobody"),
        pytest.param({}, None, id="no certificate"),
        pytest.param(None, None, id="no TLS"),
    ],
)
def test_a_certificate_names_a_user(peer: dict[str, Any] | None, expected: Identity | None) -> None:
    assert authn.of_certificate(peer) == expected


class Reviews:
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def who(self, token: str) -> Identity | None:
        self.asked.append(token)
        return ADMIN if token == "good" else None

    async def allows(self, user: Identity, wanted: authz.Attributes) -> bool:
        self.asked.append(wanted.subresource)
        return wanted.subresource == "metrics"


@pytest.mark.parametrize(
    ("header", "anonymous", "expected"),
    [
        pytest.param("Bearer good", False, "admin", id="a good token"),
        pytest.param("bearer good", False, "admin", id="the scheme in any case"),
        pytest.param("Bearer bad", True, None, id="a bad token is not anonymous"),
        pytest.param("Basic x", True, authn.ANONYMOUS, id="another scheme is no token"),
        pytest.param("", True, authn.ANONYMOUS, id="anonymous where it is allowed"),
        pytest.param("", False, None, id="nobody where it is not"),
    ],
)
async def test_a_token_is_asked_about(header: str, anonymous: bool, expected: str | None) -> None:
    who = authn.Authenticator(tokens=Reviews(), anonymous=anonymous, clock=clock.SystemClock())
    request = make_mocked_request("GET", "/", headers={"Authorization": header} if header else {})
    request.transport.get_extra_info.return_value = None
    user = await who.identify(request)
    assert (user and user.name) == expected


def test_a_token_is_asked_about_once_in_two_minutes() -> None:
    async def scenario() -> None:
        reviews, now = Reviews(), clock.VirtualClock()
        who = authn.Authenticator(tokens=reviews, anonymous=False, clock=now)
        request = make_mocked_request("GET", "/", headers={"Authorization": "Bearer good"})
        request.transport.get_extra_info.return_value = None
        for wait in (0, 119, 2):
            await now.sleep(wait)
            assert await who.identify(request) == ADMIN
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
        tls.context(Settings(authentication=authority), pair)
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
