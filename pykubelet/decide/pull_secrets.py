"""Which credentials of a Pod's pull secrets are for an image. No I/O.

Source: pkg/credentialprovider (keyring.go, secrets.go): the format is Docker's config.json.
"""

import base64
import binascii
import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from pykubelet.decide import go_json, image_credentials
from pykubelet.model.image_access import Access, Credential, SecretUse
from pykubelet.model.kinds import Secret
from pykubelet.model.runtime_config import AuthConfig

_NEW: Final = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson")
_OLD: Final = ("kubernetes.io/dockercfg", ".dockercfg")


class _Entry(msgspec.Struct, frozen=True):
    username: str = ""
    password: str = ""
    auth: str = ""
    email: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class _Config(msgspec.Struct, frozen=True):
    auths: dict[str, _Entry] = {}


class _Hashed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the genuine kubelet hashes, in its order."""

    username: str = ""
    password: str = ""
    email: str = ""


def of(secrets: Iterable[Secret], image: str) -> tuple[Credential, ...]:
    """The credentials whose registry fits the image, the most specific first. Unreadable secrets hold none."""
    found = [
        (server, Credential(_auth(entry), Access(kubernetes_secrets=(_use(secret, entry),))))
        for secret in secrets
        for server, entry in _fitting(secret, image)
    ]
    return _best_first(found)


def of_file(text: bytes, image: str) -> tuple[Credential, ...]:
    """The same from a Docker config.json that lies on the node: what it opens is open to all Pods there."""
    file = Secret(type=_NEW[0], data={_NEW[1]: text})
    return _best_first((server, Credential(_auth(entry))) for server, entry in _fitting(file, image))


def _best_first(found: Iterable[tuple[str, Credential]]) -> tuple[Credential, ...]:
    by_length = sorted(found, key=lambda pair: len(pair[0]), reverse=True)
    return tuple(dict.fromkeys(credential for _, credential in by_length))


def _fitting(secret: Secret, image: str) -> Iterator[tuple[str, _Entry]]:
    return ((server, entry) for server, entry in _entries(secret) if image_credentials.matches(server, image))


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
        yield _key(server), entry


def _key(server: str) -> str:
    """A registry, maybe with the start of a path, as Docker writes them: a URL of a registry's API is that registry."""
    host, _, path = server.removeprefix("https://").removeprefix("http://").partition("/")
    path = f"/{path}"
    if path.startswith(("/v1/", "/v2/")):
        path = path[len("/v1") :]
    if path != "/":
        return host + path
    return "docker.io" if host == "index.docker.io" else host


def _auth(entry: _Entry) -> AuthConfig:
    """No server's address goes with them: containerd takes it for a URL, and uses no credentials of another host."""
    username, password = _user(entry)
    return AuthConfig(
        username=username,
        password=password,
        identity_token=entry.identitytoken,
        registry_token=entry.registrytoken,
    )


def _user(entry: _Entry) -> tuple[str, str]:
    """User and password: `auth` has both, in base64 that need not be padded, and goes before the two fields."""
    if entry.auth:
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            unpadded = entry.auth.strip().rstrip("=")
            username, _, password = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4)).decode().partition(":")
            return username, password
    return entry.username, entry.password


def _use(secret: Secret, entry: _Entry) -> SecretUse:
    username, password = _user(entry)
    hashed = go_json.encode(_Hashed(username, password, entry.email))
    meta = secret.metadata
    return SecretUse(meta.uid, meta.namespace, meta.name, hashlib.sha256(hashed).hexdigest())
