"""Credentials of pull secrets, by image."""

import base64

import msgspec
import pytest

from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import pull_secrets
from pykubelet.model.kinds import Secret


def secret(auths: dict[str, dict[str, str]], *, old: bool = False) -> Secret:
    body = msgspec.json.encode(auths if old else {"auths": auths})
    kind, key = ("dockercfg", ".dockercfg") if old else ("dockerconfigjson", ".dockerconfigjson")
    return Secret(metadata=ObjectMeta(name="s"), type=f"kubernetes.io/{kind}", data={key: body})


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
        pytest.param("registry.example/team", "registry.example/teammates/a", False, id="beside the path"),
        pytest.param("https://index.docker.io/v1/", "nginx", True, id="Docker Hub by its old name"),
    ],
)
def test_which_credentials_are_for_an_image(server: str, image: str, fits: bool) -> None:
    found = pull_secrets.of([secret({server: user("me")})], image)
    assert [(auth.username, auth.password) for auth in found] == ([("me", "secret")] if fits else [])
    # containerd would use none for a server it does not take for the image's.
    assert not any(auth.server_address for auth in found)


def test_the_most_specific_ones_come_first() -> None:
    both = secret({"r.example": user("all"), "r.example/team": user("team")})
    assert [auth.username for auth in pull_secrets.of([both], "r.example/team/a")] == ["team", "all"]


def test_the_old_format_is_read_and_nonsense_holds_none() -> None:
    nonsense = Secret(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": b"{"})
    plain = {"r.example": {"username": "u", "password": "p"}}
    found = pull_secrets.of([nonsense, secret(plain, old=True)], "r.example/a")
    assert [(auth.username, auth.password) for auth in found] == [("u", "p")]


def test_credentials_are_never_shown() -> None:
    (auth,) = pull_secrets.of([secret({"r.example": user("me")})], "r.example/a")
    assert "secret" not in repr(auth)
