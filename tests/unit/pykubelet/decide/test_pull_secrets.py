"""Credentials of pull secrets, by image."""

import base64
import hashlib
from collections.abc import Iterable

import msgspec
import pytest

from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import pull_secrets
from pykubelet.model.image_access import EVERYBODY, Credential
from pykubelet.model.kinds import Secret


def secret(auths: dict[str, dict[str, str]], *, old: bool = False) -> Secret:
    body = msgspec.json.encode(auths if old else {"auths": auths})
    kind, key = ("dockercfg", ".dockercfg") if old else ("dockerconfigjson", ".dockerconfigjson")
    return Secret(metadata=ObjectMeta(name="s"), type=f"kubernetes.io/{kind}", data={key: body})


def users(found: Iterable[Credential]) -> list[tuple[str, str]]:
    return [(one.auth.username, one.auth.password) for one in found]


def user(name: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:secret".encode()).decode()}


@pytest.mark.parametrize(
    ("server", "image", "fits"),
    [
        pytest.param("registry.example", "registry.example/a/b:1", True, id="the same registry"),
        pytest.param("https://registry.example/v2/", "registry.example/a/b:1", True, id="as a URL of its API"),
        pytest.param("registry.example", "other.example/a/b:1", False, id="another registry"),
        pytest.param("registry.example:5000", "registry.example/a", False, id="another port"),
        pytest.param("*.example", "registry.example/a", True, id="a pattern for one label"),
        pytest.param("*.example", "a.b.example/a", False, id="a pattern does not span labels"),
        pytest.param("registry.example/team", "registry.example/team/a", True, id="below the path"),
        pytest.param("registry.example/team", "registry.example/teammates/a", True, id="the start of a path's name"),
        pytest.param("registry.example/team/", "registry.example/teammates/a", False, id="a folder's whole name"),
        pytest.param("registry.example/other", "registry.example/team/a", False, id="beside the path"),
        pytest.param("https://registry.example/v2/team", "registry.example/team/a", True, id="a path below its API"),
        pytest.param("https://registry.example/v1", "registry.example/a", False, id="a path like that of an API"),
        pytest.param("registry.example/", "registry.example/a", True, id="with a slash at its end"),
        pytest.param("*.*", "registry.example:5000/a", False, id="a pattern for no port"),
        pytest.param("https://index.docker.io/v1/", "nginx", True, id="Docker Hub by its old name"),
    ],
)
def test_which_credentials_are_for_an_image(server: str, image: str, fits: bool) -> None:
    found = pull_secrets.of([secret({server: user("me")})], image)
    assert users(found) == ([("me", "secret")] if fits else [])
    # containerd would use none for a server it does not take for the image's.
    assert not any(one.auth.server_address for one in found)


def test_the_most_specific_ones_come_first() -> None:
    both = secret({"r.example": user("all"), "r.example/team": user("team")})
    assert [name for name, _ in users(pull_secrets.of([both], "r.example/team/a"))] == ["team", "all"]


def test_the_old_format_is_read_and_nonsense_holds_none() -> None:
    nonsense = Secret(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": b"{"})
    plain = {"r.example": {"username": "u", "password": "p"}}
    found = pull_secrets.of([nonsense, secret(plain, old=True)], "r.example/a")
    assert users(found) == [("u", "p")]


def test_credentials_are_never_shown() -> None:
    (one,) = pull_secrets.of([secret({"r.example": user("me")})], "r.example/a")
    assert "secret" not in repr(one.auth)


def test_base64_may_be_without_its_padding() -> None:
    bare = {"auth": base64.b64encode(b"me:four").decode().rstrip("=")}
    assert users(pull_secrets.of([secret({"r.example": bare})], "r.example/a")) == [("me", "four")]


def test_a_secret_is_known_by_the_hash_that_the_genuine_kubelet_makes() -> None:
    """The hash is of what Go 1.26 prints of credentialprovider.AuthConfig for these."""
    entry = {"username": "u<1>", "password": "p&ä", "email": "e"}
    (one,) = pull_secrets.of([secret({"r.example": entry})], "r.example/a")
    (use,) = one.access.kubernetes_secrets
    printed = r'{"username":"u\u003c1\u003e","password":"p\u0026ä","email":"e"}'
    assert use.credential_hash == hashlib.sha256(printed.encode()).hexdigest()
    assert use.name == "s"


def test_what_the_nodes_file_opens_is_everybodys() -> None:
    text = msgspec.json.encode({"auths": {"r.example": user("me")}})
    assert [one.access for one in pull_secrets.of_file(text, "r.example/a")] == [EVERYBODY]
