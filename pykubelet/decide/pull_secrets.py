"""Which credentials of a Pod's pull secrets are for an image. No I/O.

Source: pkg/credentialprovider (keyring.go, secrets.go): the format is Docker's config.json.
"""

import base64
import binascii
import contextlib
import fnmatch
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from pykubelet.decide import image_names
from pykubelet.model.kinds import Secret
from pykubelet.model.runtime_config import AuthConfig

_NEW: Final = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson")
_OLD: Final = ("kubernetes.io/dockercfg", ".dockercfg")


class _Entry(msgspec.Struct, frozen=True):
    username: str = ""
    password: str = ""
    auth: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class _Config(msgspec.Struct, frozen=True):
    auths: dict[str, _Entry] = {}


def of(secrets: Iterable[Secret], image: str) -> tuple[AuthConfig, ...]:
    """The credentials whose registry fits the image, the most specific first. Unreadable secrets hold none."""
    repository = image_names.repository(image)
    found = [(server, entry) for secret in secrets for server, entry in _entries(secret) if _fits(server, repository)]
    found.sort(key=lambda pair: len(pair[0]), reverse=True)
    return tuple(dict.fromkeys(_auth(entry) for _, entry in found))


def of_file(text: bytes, image: str) -> tuple[AuthConfig, ...]:
    """The same from a Docker config.json that lies on the node."""
    return of([Secret(type=_NEW[0], data={_NEW[1]: text})], image)


def _entries(secret: Secret) -> Iterator[tuple[str, _Entry]]:
    try:
        if secret.type == _NEW[0]:
            auths = msgspec.json.decode(secret.data.get(_NEW[1], b"{}"), type=_Config).auths
        elif secret.type == _OLD[0]:
            auths = msgspec.json.decode(secret.data.get(_OLD[1], b"{}"), type=dict[str, _Entry])
        else:
            return
    except msgspec.DecodeError:
        return
    for server, entry in auths.items():
        bare = server.removeprefix("https://").removeprefix("http://").rstrip("/")
        for path in ("/v1", "/v2"):
            bare = bare.removesuffix(path)
        yield ("docker.io" if bare == "index.docker.io" else bare), entry


def _fits(server: str, repository: str) -> bool:
    """A registry, maybe with `*` in its labels, maybe with the start of a path."""
    host, _, path = server.partition("/")
    registry, _, name = repository.partition("/")
    wanted, given = host.split("."), registry.split(".")
    if len(wanted) != len(given) or not all(map(fnmatch.fnmatchcase, given, wanted)):
        return False
    return not path or name == path or name.startswith(f"{path}/")


def _auth(entry: _Entry) -> AuthConfig:
    """No server's address goes with them: containerd takes it for a URL, and uses no credentials of another host."""
    username, password = entry.username, entry.password
    if entry.auth:
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            username, _, password = base64.b64decode(entry.auth).decode().partition(":")
    return AuthConfig(
        username=username,
        password=password,
        identity_token=entry.identitytoken,
        registry_token=entry.registrytoken,
    )
